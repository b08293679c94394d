import type { Attachment, Live, Message, Outgoing } from "@tertulia/react";
import type { Block } from "@tertulia/stream";
import { Markdown } from "./Markdown.tsx";
import { useTexts } from "./Chat.tsx";
import { named } from "./texts.ts";

type Content = Message["content"][number];
const FINAL = ["COMPLETED", "STOPPED", "FAILED"];

/** A message of the user. */
export function UserItem({ message }: { message: Message }) {
  const files = message.content.flatMap((block: Content) => ("attachment" in block ? [block.attachment] : []));
  const text = message.content.flatMap((block: Content) => (block.__typename === "TextBlock" ? [block.text] : [])).join("\n\n");
  return <Said text={text} files={files} />;
}

function Said({ text, files, children }: { text: string; files: readonly Attachment[]; children?: React.ReactNode }) {
  const texts = useTexts();
  return (
    <li className="user" part="message user">
      <h2 className="hidden">{texts.you}</h2>
      <div className="said" dir="auto">
        {files.map(({ id, filename }) => <span key={id} className="file">{filename}</span>)}
        {text}
      </div>
      {children}
    </li>
  );
}

interface OutgoingProps {
  readonly item: Outgoing;
  readonly onRetry: () => void;
  readonly onRemove: () => void;
}

/** A message that is being sent, that waits for the connection, or that the server has refused. */
export function OutgoingItem({ item: { draft, waiting, problem }, onRetry, onRemove }: OutgoingProps) {
  const texts = useTexts();
  return (
    <Said text={draft.text} files={draft.files}>
      {waiting && !problem && <p className="note" role="status">{texts.waiting}</p>}
      {problem && (
        <div className="problem" part="error">
          <p role="alert">{problem.message}</p>
          <button type="button" className="plain" part="button" onClick={onRetry}>{texts.retry}</button>
          <button type="button" className="plain" part="button" onClick={onRemove}>{named(texts.remove, "").trim()}</button>
        </div>
      )}
    </Said>
  );
}

interface AnswerProps {
  readonly message: Message;
  /** The answer while it is being written. */
  readonly live: Live | null;
  readonly onRetry: () => void;
}

/** An answer, while it is being written or from the server. */
export function AnswerItem({ message: { content, generation }, live, onRetry }: AnswerProps) {
  const texts = useTexts();
  const status = live?.state.status ?? generation?.status ?? "COMPLETED";
  const running = !FINAL.includes(status);
  const blocks: readonly (Block | null)[] = live?.state.blocks ?? content;
  const error = live?.state.error ?? generation?.error;
  return (
    <li className="assistant" part="message assistant" aria-busy={running}>
      <h2 className="hidden">{generation?.model.displayName ?? texts.assistant}</h2>
      {blocks.map((block, position) => block && <OneBlock key={position} block={block} growing={running && live?.growing === position} blocks={blocks} />)}
      {running && <span className="cursor" aria-hidden="true" />}
      {status === "STOPPED" && <p className="note">{texts.stopped}</p>}
      {status === "FAILED" && (
        <div className="problem" part="error">
          <p role="alert">{error?.message ?? texts.failed}</p>
          {error?.retryable && <button type="button" className="plain" part="button" onClick={onRetry}>{texts.retry}</button>}
        </div>
      )}
    </li>
  );
}

interface BlockProps {
  readonly block: Block;
  readonly growing: boolean;
  readonly blocks: readonly (Block | null)[];
}

function OneBlock({ block, growing, blocks }: BlockProps) {
  const texts = useTexts();
  switch (block.__typename) {
    case "TextBlock":
      return <Markdown text={block.text ?? ""} growing={growing} />;
    case "ThinkingBlock":
      if (!block.text && !growing) return null;
      return <details><summary>{texts.thinking}</summary><p>{block.text}</p></details>;
    case "ToolUseBlock": {
      const result = blocks.find((other) => other?.__typename === "ToolResultBlock" && other.toolUseId === block.toolUseId);
      const title = named(result?.isError ? texts.toolFailed : texts.tool, block.name ?? "");
      return (
        <details>
          <summary>{title}</summary>
          <pre>{written(block.input ?? block.partialJson)}</pre>
          {result && <pre>{written(result.output)}</pre>}
        </details>
      );
    }
    case "JsonBlock":
      return <pre>{written(block.value ?? block.text)}</pre>;
    default:
      return null;
  }
}

function written(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
