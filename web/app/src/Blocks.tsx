import type { Block } from "@tertulia/stream";
import { Attachment } from "./Attachment";
import { t, type MessageKey } from "./messages";
import type { BlockFragment, FileFragment } from "./operations";
import { renderer } from "./renderer";
import { useStore } from "./store";
import { ConnectForTool } from "./ToolServers";
import { written } from "./words";

type Attached = Extract<BlockFragment, { attachment: FileFragment }>;

export function isAttached(block: BlockFragment): block is Attached {
  return "attachment" in block;
}

interface BlocksProps extends Pick<Props, "blocks" | "running" | "waits"> {
  /** The position of the block that Claude writes now. It is not the last one if an interrupted text continues. */
  readonly growing: number | null;
}

/** The content blocks of an answer in their order. */
export function Blocks({ blocks, running, growing, waits }: BlocksProps) {
  return blocks.map((block, position) => {
    if (!block) return null;
    const grows = running && position === growing;
    return <OneBlock key={block.index ?? position} block={block} growing={grows} running={running} blocks={blocks} waits={waits} />;
  });
}

interface Props {
  readonly block: Block;
  readonly growing: boolean;
  readonly running: boolean;
  readonly blocks: readonly (Block | null)[];
  /** Calls that the answer waits for. */
  readonly waits: readonly Block[];
}

function OneBlock({ block, growing, running, blocks, waits }: Props) {
  switch (block.__typename) {
    case "TextBlock":
      return <Text block={block} growing={growing} />;
    case "ThinkingBlock":
      return <Thinking block={block} growing={growing} />;
    case "ToolUseBlock":
      return (
        <Call
          block={block}
          running={running && (growing || block.partialJson === null)}
          waiting={waits.some(({ toolUseId }) => toolUseId === block.toolUseId)}
          result={blocks.find((other) => isResult(other, block)) ?? null}
        />
      );
    case "ToolResultBlock":
      // A result is shown with its call.
      return blocks.some((other) => isResult(block, other)) ? null : <Result block={block} />;
    case "JsonBlock":
      return <pre className="json">{block.problem ? block.text : written(block.value ?? block.text)}</pre>;
    case "CompactionBlock":
      return (
        <details className="aside">
          <summary>{t("content.summary")}</summary>
          <p>{block.summary ?? t("content.summaryFailed")}</p>
        </details>
      );
    case "ImageBlock":
    case "DocumentBlock":
      return <Attachment file={block.attachment as FileFragment} />;
    default:
      return null;
  }
}

interface Citation {
  readonly citedText: string;
  readonly place: string | null;
  readonly source: string;
  readonly title: string | null;
  readonly url: string | null;
}

function Text({ block, growing }: { block: Block; growing: boolean }) {
  const { component: Markdown } = useStore(renderer);
  const text = block.text ?? "";
  const sources = (block.citations ?? []) as readonly Citation[];
  return (
    <div className="text">
      {Markdown ? <Markdown text={text} growing={growing} /> : <p className="raw">{text}</p>}
      {sources.length > 0 && (
        <details className="aside sources">
          <summary>{t("content.sources", { count: sources.length })}</summary>
          <ol>
            {sources.map((citation, position) => (
              <li key={position}><q>{citation.citedText}</q> <cite><Source {...citation} /></cite></li>
            ))}
          </ol>
        </details>
      )}
    </div>
  );
}

/** A link to a web page, or the name of an attached file, which leads to it, with the place in the file. */
function Source({ source, title, url, place }: Citation) {
  if (url) return <a href={url} target="_blank" rel="noreferrer">{title ?? url}</a>;
  if (place === null) return title ?? source;
  const show = () => document.querySelector<HTMLElement>(`[data-name="${CSS.escape(source)}"]`)?.focus();
  return <button type="button" className="quiet" onClick={show}>{source}{t("common.comma")}{place}</button>;
}

function Thinking({ block, growing }: { block: Block; growing: boolean }) {
  if (!block.redacted && !block.text && !growing) return null;
  return (
    <details className="aside thinking">
      <summary>{t(growing ? "content.thinking" : "content.thought")}</summary>
      <p>{block.redacted ? t("content.redacted") : block.text}</p>
    </details>
  );
}

function isResult(block: Block | null, of: Block | null): boolean {
  return block?.__typename === "ToolResultBlock" && of?.__typename === "ToolUseBlock" && block.toolUseId === of.toolUseId;
}

interface CallProps {
  readonly block: Block;
  readonly result: Block | null;
  readonly running: boolean;
  readonly waiting: boolean;
}

const STATES = {
  failed: "call.failed",
  done: "call.done",
  waiting: "call.waiting",
  running: "call.running",
  unanswered: "call.noResult",
  incomplete: "call.incomplete",
} as const satisfies Record<string, MessageKey>;

function callState(block: Block, result: Block | null, { running, waiting }: Pick<CallProps, "running" | "waiting">): keyof typeof STATES {
  if (result) return result.isError ? "failed" : "done";
  if (waiting) return "waiting";
  if (running) return "running";
  return block.partialJson === null ? "unanswered" : "incomplete";
}

function Call({ block, result, running, waiting }: CallProps) {
  const state = callState(block, result, { running, waiting });
  return (
    <>
      <details className="aside call" data-state={state}>
        <summary><code>{block.name}</code> {t(STATES[state])}</summary>
        <h3>{t("call.input")}</h3>
        <pre>{block.partialJson ?? written(block.input)}</pre>
        {result && <h3>{t(result.isError ? "call.error" : "call.result")}</h3>}
        {result && <pre>{written(result.output)}</pre>}
      </details>
      {result?.isError && block.name?.includes("__") && <ConnectForTool tool={block.name} />}
    </>
  );
}

function Result({ block }: { block: Block }) {
  return (
    <details className="aside call">
      <summary>{t(block.isError ? "call.toolFailed" : "call.toolResult")}</summary>
      <pre>{written(block.output)}</pre>
    </details>
  );
}
