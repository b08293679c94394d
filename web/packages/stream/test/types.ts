// Checked by `tsc` and never executed: the types that GraphQL Code Generator generates fit without a cast.
import { apply, initial, text, type Block, type State, type StreamEvent } from "@tertulia/stream";

// ---- as the plugin typescript-operations generates it by default ------------------------------------------------------

type GenerationErrorCode = "API_ERROR" | "OVERLOADED" | "TIMEOUT";
type GenerationStatus = "AWAITING_TOOL_RESULTS" | "COMPLETED" | "FAILED" | "QUEUED" | "RUNNING" | "STOPPED";
type SnapshotReason = "EXPIRED" | "UNKNOWN_SEQUENCE" | "ENDED";

type Parts =
  | { __typename: 'CompactionBlock', summary: string | null, index: number }
  | { __typename: 'DocumentBlock', index: number, attachment: { id: string, url: string, filename: string } }
  | { __typename: 'ImageBlock', index: number, attachment: { id: string, url: string, filename: string } }
  | { __typename: 'JsonBlock', text: string, value: unknown, problem: string | null, index: number }
  | { __typename: 'TextBlock', text: string, index: number, citations: Array<{ citedText: string, source: string, startIndex: number | null, endIndex: number | null }> }
  | { __typename: 'ThinkingBlock', text: string, redacted: boolean, index: number }
  | { __typename: 'ToolResultBlock', toolUseId: string, output: unknown, isError: boolean, index: number }
  | { __typename: 'ToolUseBlock', toolUseId: string, name: string, input: unknown, partialJson: string | null, index: number };

type FollowSubscription = { generationEvents:
    | { __typename: 'ContentBlockFinished', index: number, sequence: number, block: Parts }
    | { __typename: 'ContentBlockStarted', index: number, sequence: number, block: Parts }
    | { __typename: 'GenerationCompleted', sequence: number }
    | { __typename: 'GenerationContinued', reason: GenerationErrorCode, attempt: number, sequence: number }
    | { __typename: 'GenerationFailed', sequence: number, error: { code: GenerationErrorCode, message: string, retryable: boolean, requestId: string | null, retryAfterSeconds: number | null } }
    | { __typename: 'GenerationStarted', sequence: number }
    | { __typename: 'GenerationStopped', sequence: number }
    | { __typename: 'MessageSnapshot', reason: SnapshotReason | null, sequence: number, generation: { status: GenerationStatus }, message: { content: Array<Parts> } }
    | { __typename: 'TextDelta', index: number, offset: number, text: string, sequence: number }
    | { __typename: 'ThinkingDelta', index: number, offset: number, text: string, sequence: number }
    | { __typename: 'ToolInputDelta', index: number, offset: number, partialJson: string, sequence: number }
    | { __typename: 'ToolResultsRequired', expiresAt: unknown, sequence: number, toolUses: Array<{ toolUseId: string, name: string, input: unknown }>, approvals: Array<{ toolUseId: string }> }
   };

// ---- as older versions and other settings generate it: Maybe<>, optional names, enums, read-only lists ----------------

type Maybe<T> = T | null;
enum Status {
  Queued = "QUEUED",
  Running = "RUNNING",
}
type OlderParts =
  | { readonly __typename?: 'TextBlock', readonly index: number, readonly text: string, readonly citations: ReadonlyArray<{ readonly __typename?: 'Citation', readonly citedText: string }> }
  | { readonly __typename?: 'ToolUseBlock', readonly index: number, readonly toolUseId: string, readonly name: string, readonly input: unknown, readonly partialJson?: Maybe<string> }
  | { readonly __typename?: 'CompactionBlock', readonly index: number, readonly summary?: Maybe<string> };
type OlderSubscription = { readonly __typename?: 'Subscription', readonly generationEvents:
    | { readonly __typename?: 'MessageSnapshot', readonly generationId: string, readonly sequence: number, readonly reason?: Maybe<SnapshotReason>, readonly generation: { readonly __typename?: 'Generation', readonly status: Status }, readonly message: { readonly __typename?: 'Message', readonly content: ReadonlyArray<OlderParts> } }
    | { readonly __typename?: 'ContentBlockFinished', readonly generationId: string, readonly sequence: number, readonly index: number, readonly block: OlderParts }
    | { readonly __typename?: 'TextDelta', readonly generationId: string, readonly sequence: number, readonly index: number, readonly offset: number, readonly text: string }
    | { readonly __typename?: 'ToolResultsRequired', readonly generationId: string, readonly sequence: number, readonly expiresAt: string, readonly toolUses: ReadonlyArray<{ readonly __typename?: 'ToolUseBlock', readonly toolUseId: string }> }
    | { readonly __typename?: 'GenerationFailed', readonly generationId: string, readonly sequence: number, readonly error: { readonly __typename?: 'GenerationError', readonly code: GenerationErrorCode, readonly message: string, readonly requestId?: Maybe<string> } }
    | { readonly __typename?: 'GenerationStopped', readonly generationId: string, readonly sequence: number } };

// ---- must compile ----------------------------------------------------------------------------------------------------

/** Results of clients whose `data` may be missing or null. */
export function follow(found: { data?: FollowSubscription | null }, older: OlderSubscription): string {
  let state: State = initial;
  if (found.data) state = apply(state, found.data.generationEvents);
  const event: StreamEvent = older.generationEvents;
  return text(apply(state, event));
}

export const folded = (events: readonly FollowSubscription["generationEvents"][]): State => events.reduce(apply, initial);
export const placed = (content: readonly Parts[]): readonly Block[] => content;
export const resumesAt: number = initial.sequence;

// ---- must not compile ------------------------------------------------------------------------------------------------

// A snapshot without selected content would look like an empty one.
// @ts-expect-error
export const textAlone: StreamEvent = { __typename: "MessageSnapshot" as const, message: { text: "all" } };
// @ts-expect-error
export const wrong: StreamEvent = { __typename: "TextDelta" as const, offset: "0" };
// @ts-expect-error
initial.status = "STOPPED";
