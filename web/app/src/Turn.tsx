import { newKey } from "@tertulia/react";
import type { Block as StreamBlock } from "@tertulia/stream";
import { useMutation } from "urql";
import { expectEnd } from "./announce";
import { Approval } from "./Approval";
import { Attachment } from "./Attachment";
import { Blocks } from "./Blocks";
import { Branches } from "./Branches";
import { lost } from "./client";
import { CopyButton } from "./CopyButton";
import { Icon } from "./Icon";
import { forCode, list, t, type MessageKey } from "./messages";
import { ForkDocument, RegenerateDocument, type TurnFragment, type WorkFragment } from "./operations";
import { mutationProblem, failure } from "./problems";
import { RatingButtons } from "./RatingButtons";
import { show } from "./route";
import { useStore } from "./store";
import type { TurnActions } from "./Transcript";
import { RetryButton, ProblemNotice } from "./ProblemNotice";
import { useAnswer } from "./useAnswer";
import { UserTurn } from "./UserTurn";
import { useScrollTarget, type ScrollTarget } from "./useScrollTarget";
import { final, spent, textOf } from "./words";

export interface TurnProps extends TurnActions {
  readonly turn: TurnFragment;
  readonly target: ScrollTarget;
}

export function Turn(props: TurnProps) {
  const { generation, role } = props.turn;
  if (generation) return <AnswerTurn {...props} generation={generation} />;
  return role === "ASSISTANT" ? <ImportedAnswer {...props} /> : <UserTurn {...props} />;
}

/** An answer from another service, of which nothing but the content is known. */
function ImportedAnswer({ turn, target }: TurnProps) {
  const item = useScrollTarget(turn.id, target);
  return (
    <li className="assistant" data-role="assistant" aria-busy={false} {...item}>
      <h2 className="hidden">{t("turn.claude")}</h2>
      <Blocks blocks={turn.content} running={false} growing={null} waits={[]} />
      <div className="actions"><CopyButton text={textOf(turn.content)} label={t("copy.answer")} /></div>
    </li>
  );
}

function AnswerTurn({ turn, target, generation, onChanged, onProblem }: TurnProps & { generation: WorkFragment }) {
  const item = useScrollTarget(turn.id, target);
  const live = !final(generation.status);
  const disconnected = useStore(lost);
  const { answer, problem } = useAnswer(generation.id, live, onChanged);
  const regenerate = useRegenerate({ turn, onChanged, onProblem });
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
        : file.problem && <p key={position} className="note">{t("turn.missingFile", { problem: file.problem })}</p>)}
      {(answer?.continuations ?? generation.continuations) > 0 && <p className="note">{t(fallbacks(turn).length > 0 ? "turn.continuedByAnother" : "turn.continued")}</p>}
      {running && <p className="working" role="status">{t(STATUS[status] ?? "turn.answering")}</p>}
      {state?.waits && <Approval key={state.waits.toolUses?.map(({ toolUseId }) => toolUseId).join()} generationId={generation.id} waits={state.waits} onProblem={onProblem} />}
      <ProblemNotice problem={problem} />
      {!running && <End turn={turn} generation={generation} status={status} onRetry={regenerate} />}
      {!running && <AnswerActions turn={turn} blocks={blocks} generation={generation} onRegenerate={regenerate} onChanged={onChanged} onProblem={onProblem} />}
    </li>
  );
}

const STATUS: Partial<Record<string, MessageKey>> = { QUEUED: "turn.queued", AWAITING_TOOL_RESULTS: "turn.waiting" };
const REASONS: Partial<Record<string, MessageKey>> = {
  MAX_TOKENS: "turn.maxTokens",
  MODEL_CONTEXT_WINDOW_EXCEEDED: "turn.contextFull",
};

type AnswerProps = Omit<TurnProps, "target">;

/** Return a function that asks for another version of an answer. */
function useRegenerate({ turn, onChanged, onProblem }: AnswerProps): () => Promise<void> {
  const [, regenerate] = useMutation(RegenerateDocument);
  return async () => {
    const result = await regenerate({ input: { messageId: turn.id, idempotencyKey: newKey() } });
    const problem = mutationProblem(result);
    onProblem(problem);
    if (result.data?.regenerateMessage.__typename === "SendMessagePayload") expectEnd(result.data.regenerateMessage.generation.id);
    if (!problem) onChanged();
  };
}

/** Return why Claude declined, and what to do now. */
function refusal({ category, explanation }: NonNullable<WorkFragment["refusal"]>): string {
  const values = { category: category?.replaceAll("_", " ") ?? "", explanation: explanation ?? "" };
  return t(category ? "turn.declinedCategory" : "turn.declined", values);
}

/** Return the fallback models that wrote parts of an answer. */
function fallbacks({ content }: TurnFragment): string[] {
  return [...new Set(content.flatMap((block) => (block.__typename === "TextBlock" ? block.models : [])))];
}

interface EndProps {
  readonly turn: TurnFragment;
  readonly generation: WorkFragment;
  readonly status: string;
  readonly onRetry: () => Promise<void>;
}

/** Notes on how an answer ended, unless it simply completed. */
function End({ turn, generation, status, onRetry }: EndProps) {
  const leftOut = turn.leftOut.reduce((sum, { blocks }) => sum + blocks, 0);
  const reasons = turn.leftOut.map(({ reason }) => forCode("leftOut", reason, t("leftOut.other")));
  const reason = generation.stopReason && REASONS[generation.stopReason];
  return (
    <>
      {status === "STOPPED" && <p className="note">{t("turn.stopped")}</p>}
      {status === "FAILED" && <Failed generation={generation} onRetry={onRetry} />}
      {reason && <p className="note">{t(reason)}</p>}
      {generation.refusal && <p className="note">{refusal(generation.refusal)}</p>}
      {leftOut > 0 && <p className="note">{t("turn.leftOut", { count: leftOut, reasons: list(reasons) })}</p>}
    </>
  );
}

/** Why an answer failed, with a button that retries it if that can help. */
function Failed({ generation: { error, finishedAt }, onRetry }: Pick<EndProps, "generation" | "onRetry">) {
  // The stream has ended, and the page has not read the stored error yet.
  if (!error) return null;
  const problem = failure(error, finishedAt);
  return (
    <ProblemNotice problem={problem}>
      {error.retryable && <RetryButton at={problem.retryAt} onRetry={onRetry} />}
    </ProblemNotice>
  );
}

interface AnswerActionsProps extends AnswerProps {
  /** What is shown. The content of `turn` may be from before the end of the answer. */
  readonly blocks: readonly (StreamBlock | null)[];
  readonly generation: WorkFragment;
  readonly onRegenerate: () => Promise<void>;
}

function AnswerActions({ turn, blocks, generation, onRegenerate, onChanged, onProblem }: AnswerActionsProps) {
  const [, fork] = useMutation(ForkDocument);
  async function forkHere() {
    const result = await fork({ input: { messageId: turn.id } });
    onProblem(mutationProblem(result));
    if (result.data?.forkConversation.__typename === "ConversationPayload") show(result.data.forkConversation.conversation.id);
  }
  const models = [generation.model.displayName, ...fallbacks(turn)];
  const labels = { copy: t("copy.answer"), regenerate: t("turn.regenerate"), fork: t("turn.fork") };
  return (
    <div className="actions">
      <Branches turn={turn} onChanged={onChanged} onProblem={onProblem} />
      <CopyButton text={textOf(blocks)} label={labels.copy} />
      <button type="button" className="quiet" onClick={() => void onRegenerate()} aria-label={labels.regenerate} title={labels.regenerate}>
        <Icon name="retry" />
      </button>
      <button type="button" className="quiet" onClick={forkHere} aria-label={labels.fork} title={labels.fork}>
        <Icon name="branch" />
      </button>
      <RatingButtons turn={turn} onProblem={onProblem} />
      <small>{list(generation.usage ? [...models, spent(generation.usage)] : models)}</small>
    </div>
  );
}
