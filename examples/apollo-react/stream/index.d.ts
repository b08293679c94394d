/** The fields of a type that an operation selects. All are optional, because clients select only what they show. */
export type Selected<T> = { readonly [Field in keyof T]?: T[Field] | null | undefined };

/** The statuses of a generation; the last three are final. */
export type Status = "QUEUED" | "RUNNING" | "AWAITING_TOOL_RESULTS" | "COMPLETED" | "STOPPED" | "FAILED";

/** A content block of any kind, by `__typename`. */
export type Block = Selected<{
  __typename: string;
  index: number;
  text: string;
  citations: readonly unknown[];
  redacted: boolean;
  toolUseId: string;
  name: string;
  input: unknown;
  partialJson: string;
  output: unknown;
  isError: boolean;
  value: unknown;
  problem: string;
  summary: string;
  attachment: unknown;
}>;

/** Why an answer failed. */
export type Failure = Selected<{
  code: string;
  message: string;
  retryable: boolean;
  requestId: string;
  retryAfterSeconds: number;
}>;

/** An event of `generationEvents` of any kind, by `__typename`. */
export type StreamEvent = Selected<{
  __typename: string;
  generationId: string;
  sequence: number;
  index: number;
  offset: number;
  text: string;
  partialJson: string;
  block: Block;
  message: Selected<{ content: readonly Block[] }>;
  generation: Selected<{ status: string }>;
  reason: string;
  attempt: number;
  error: Failure;
  toolUses: readonly Block[];
  approvals: readonly Block[];
  /** A DateTime, in the form in which your client returns scalars. */
  expiresAt: unknown;
}>;

/** The state of an answer after the events so far. */
export interface State {
  /** The content blocks by their `index`; null for a block that has not arrived. */
  readonly blocks: readonly (Block | null)[];
  readonly status: Status;
  /** Why the answer failed; null unless `status` is FAILED. */
  readonly error: Failure | null;
  /** The ToolResultsRequired event that the answer waits for; null if it does not wait. */
  readonly waits: StreamEvent | null;
  /** The number of the last event, for `generationEvents(after:)`. 0 before the first event. */
  readonly sequence: number;
}

/** The state before the first event. */
export const initial: State;

/** Return the state after an event. The argument is not changed. Applying an event twice changes nothing. */
export function apply(state: State, event: StreamEvent): State;

/** Return Claude's text: that of all `TextBlock`s and `JsonBlock`s. */
export function text(state: State): string;

/** Return whether no further event can arrive. */
export function ended(state: State): boolean;
