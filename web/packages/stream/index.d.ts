/** What of a type a selection asks for: clients ask for what they show. */
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
  error: Failure;
  toolUses: readonly Block[];
  approvals: readonly Block[];
  /** A DateTime, as your client gives scalars. */
  expiresAt: unknown;
}>;

/** What the events have said so far. */
export interface State {
  /** By `index`; null where a block is not known yet. */
  readonly blocks: readonly (Block | null)[];
  readonly status: Status;
  /** Why it failed; null unless `status` is FAILED. */
  readonly error: Failure | null;
  /** The ToolResultsRequired that the answer waits behind. */
  readonly waits: StreamEvent | null;
  /** The number of the last event: what `generationEvents(after:)` takes. 0 before the first. */
  readonly sequence: number;
}

/** The state before the first event. */
export const initial: State;

/** Give the state behind an event; the given one is not changed. Applying an event twice changes nothing. */
export function apply(state: State, event: StreamEvent): State;

/** Give what Claude has said: the text of all text blocks. */
export function text(state: State): string;

/** Whether no further event can come. */
export function ended(state: State): boolean;
