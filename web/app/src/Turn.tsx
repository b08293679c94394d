import type { Block as StreamBlock } from "@tertulia/stream";
import { useRef, useState } from "react";
import { useMutation } from "urql";
import { Approval } from "./Approval";
import { Attachment } from "./Attachment";
import { Blocks, isAttached } from "./Blocks";
import { Branches } from "./Branches";
import { lost } from "./client";
import { CopyButton } from "./CopyButton";
import { EMPTY, useDraft } from "./drafts";
import { Icon } from "./Icon";
import { EditDocument, ForkDocument, RegenerateDocument, type TurnFragment, type WorkFragment } from "./operations";
import { RatingButtons } from "./RatingButtons";
import { show } from "./route";
import { useStore } from "./store";
import type { TurnActions } from "./Transcript";
import { useAnswer } from "./useAnswer";
import { useScrollTarget, type ScrollTarget } from "./useScrollTarget";
import { complaint, final, newKey, spent } from "./words";

interface Props extends TurnActions {
  readonly turn: TurnFragment;
  readonly target: ScrollTarget;
}

export function Turn(props: Props) {
  const { generation } = props.turn;
  return generation ? <AnswerTurn {...props} generation={generation} /> : <UserTurn {...props} />;
}

function UserTurn({ turn, target, onChanged, onProblem }: Props) {
  const item = useScrollTarget(turn.id, target);
  const [draft, setDraft] = useDraft(`edit:${turn.id}`);
  // An edit that was open before a refresh continues.
  const [editing, setEditing] = useState(draft.text !== "");
  const [, edit] = useMutation(EditDocument);
  const text = textOf(turn.content);
  const files = turn.content.filter(isAttached).map((block) => block.attachment);
  async function save(changed: string) {
    const input = { messageId: turn.id, text: changed, attachmentIds: files.map((file) => file.id), idempotencyKey: newKey() };
    const problem = complaint(await edit({ input }));
    onProblem(problem);
    if (problem) return;
    close();
    onChanged();
  }
  function close() {
    setDraft(EMPTY);
    setEditing(false);
  }
  if (editing) {
    return (
      <li className="user editing">
        <Editor text={draft.text || text} optional={files.length > 0} onChange={(changed) => setDraft({ text: changed, files: [] })} onSave={save} onCancel={close} />
      </li>
    );
  }
  return (
    <li className="user" data-role="user" {...item}>
      <h2 className="hidden">You</h2>
      <div className="said" dir="auto">
        {files.map((file) => <Attachment key={file.id} file={file} />)}
        {text}
      </div>
      <div className="actions">
        <Branches turn={turn} onChanged={onChanged} onProblem={onProblem} />
        <CopyButton text={text} what="message" />
        <button type="button" className="quiet edit" onClick={() => setEditing(true)} aria-label="Edit message" title="Edit">
          <Icon name="edit" />
        </button>
      </div>
    </li>
  );
}

interface EditorProps {
  readonly text: string;
  /** Whether the message may have no text, because it has attachments. */
  readonly optional: boolean;
  readonly onChange: (text: string) => void;
  readonly onSave: (text: string) => Promise<void>;
  readonly onCancel: () => void;
}

function Editor({ text, optional, onChange, onSave, onCancel }: EditorProps) {
  const [changed, setChanged] = useState(text);
  const [saving, setSaving] = useState(false);
  const ready = (optional || changed.trim() !== "") && !saving;
  const field = useRef<HTMLTextAreaElement>(null);
  async function save() {
    if (!ready) return;
    setSaving(true);
    await onSave(changed);
    setSaving(false);
    field.current?.focus();
  }
  return (
    <form className="editor" onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <textarea
        ref={field}
        autoFocus
        aria-label="Edit message"
        dir="auto"
        value={changed}
        onChange={({ target }) => {
          setChanged(target.value);
          onChange(target.value);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            void save();
          }
        }}
      />
      <div className="actions">
        <button type="button" className="quiet" onClick={onCancel}>Cancel</button>
        <button type="submit" className="loud" disabled={!ready}>Send</button>
      </div>
    </form>
  );
}

function AnswerTurn({ turn, target, generation, onChanged, onProblem }: Props & { generation: WorkFragment }) {
  const item = useScrollTarget(turn.id, target);
  const live = !final(generation.status);
  const disconnected = useStore(lost);
  const { answer, problem } = useAnswer(generation.id, live, onChanged);
  const state = answer?.state ?? null;
  // The stored content of a running answer is about a second old. The snapshot arrives at once and contains more.
  const storedBlocks = live && !state && !disconnected ? [] : turn.content;
  const blocks: readonly (StreamBlock | null)[] = state?.blocks ?? storedBlocks;
  const status = state?.status ?? generation.status;
  const running = !final(status);
  return (
    <li className="assistant" data-role="assistant" aria-busy={running} {...item}>
      <h2 className="hidden">{generation.model.displayName}</h2>
      <Blocks blocks={blocks} running={running} growing={answer?.growing ?? null} waits={state?.waits?.toolUses ?? []} />
      {!running && turn.files.map((file, position) => file.attachment
        ? <Attachment key={position} file={file.attachment} />
        : file.problem && <p key={position} className="note">A file that Claude made is missing. {file.problem}</p>)}
      {(answer?.continuations ?? generation.continuations) > 0 && <p className="note">{fallbacks(turn).length > 0 ? "Continued by another model." : "Interrupted and continued."}</p>}
      {running && <p className="working" role="status">{STATUS[status] ?? "Claude is answering"}</p>}
      {state?.waits && <Approval generationId={generation.id} waits={state.waits} onProblem={onProblem} />}
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      {!running && <End turn={turn} generation={generation} status={status} message={state?.error?.message ?? generation.error?.message} />}
      {!running && <AnswerActions turn={turn} generation={generation} onChanged={onChanged} onProblem={onProblem} />}
    </li>
  );
}

const STATUS: Partial<Record<string, string>> = {
  QUEUED: "Queued",
  AWAITING_TOOL_RESULTS: "Claude is waiting for you",
};

const REASONS: Partial<Record<string, string>> = {
  MAX_TOKENS: "The answer reached its maximum length.",
  MODEL_CONTEXT_WINDOW_EXCEEDED: "The conversation fills the model's context window. Start a new conversation.",
};

interface EndProps {
  readonly turn: TurnFragment;
  readonly generation: WorkFragment;
  readonly status: string;
  readonly message: string | undefined;
}

/** Return why Claude declined, and what to do now. */
function refusal({ category, explanation }: NonNullable<WorkFragment["refusal"]>): string {
  const area = category ? ` (${category.replaceAll("_", " ")})` : "";
  return `Claude declined to answer${area}. ${explanation ?? ""} Edit your message, or ask something else: later messages are sent without this one.`;
}

/** Return the fallback models that wrote parts of an answer. */
function fallbacks({ content }: TurnFragment): string[] {
  return [...new Set(content.flatMap((block) => (block.__typename === "TextBlock" ? block.models : [])))];
}

/** Notes on how an answer ended, unless it simply completed. */
function End({ turn, generation, status, message }: EndProps) {
  const leftOut = turn.leftOut.reduce((sum, { blocks }) => sum + blocks, 0);
  return (
    <>
      {status === "STOPPED" && <p className="note">Stopped.</p>}
      {status === "FAILED" && <p className="notice trouble" role="alert">{message ?? "The answer failed."}</p>}
      {generation.stopReason && REASONS[generation.stopReason] && <p className="note">{REASONS[generation.stopReason]}</p>}
      {generation.refusal && <p className="note">{refusal(generation.refusal)}</p>}
      {leftOut > 0 && (
        <p className="note">
          {leftOut === 1 ? "One block" : `${leftOut} blocks`} of the conversation could not be sent to Claude:{" "}
          {turn.leftOut.map(({ reason }) => reason.toLowerCase().replaceAll("_", " ")).join(", ")}.
        </p>
      )}
    </>
  );
}

function AnswerActions({ turn, generation, onChanged, onProblem }: Omit<Props, "target"> & { generation: WorkFragment }) {
  const [, regenerate] = useMutation(RegenerateDocument);
  const [, fork] = useMutation(ForkDocument);
  async function regenerateAnswer() {
    const problem = complaint(await regenerate({ input: { messageId: turn.id, idempotencyKey: newKey() } }));
    onProblem(problem);
    if (!problem) onChanged();
  }
  async function forkHere() {
    const result = await fork({ input: { messageId: turn.id } });
    onProblem(complaint(result));
    if (result.data?.forkConversation.__typename === "ConversationPayload") show(result.data.forkConversation.conversation.id);
  }
  return (
    <div className="actions">
      <Branches turn={turn} onChanged={onChanged} onProblem={onProblem} />
      <CopyButton text={textOf(turn.content)} what="answer" />
      <button type="button" className="quiet" onClick={regenerateAnswer} aria-label="Regenerate answer" title="Regenerate">
        <Icon name="retry" />
      </button>
      <button type="button" className="quiet" onClick={forkHere} aria-label="Continue in a new conversation" title="Continue from here in a new conversation">
        <Icon name="branch" />
      </button>
      <RatingButtons turn={turn} onProblem={onProblem} />
      <small>{[generation.model.displayName, ...fallbacks(turn)].join(" and ")}{generation.usage && `, ${spent(generation.usage)}`}</small>
    </div>
  );
}

function textOf(blocks: readonly StreamBlock[]): string {
  return blocks.flatMap((block) => (block.__typename === "TextBlock" && block.text ? [block.text] : [])).join("\n\n");
}
