/**
 * Reduce the events of an answer to its state. A snapshot replaces the state; a delta sets its block to the text before
 * `offset`, in UTF-16 code units, plus its own text. Implements rules 5 to 9 and 17 of PROTOCOL.md.
 *
 * @import { Block, State, Status, StreamEvent } from "./index.d.ts"
 */

/** @type {State} */
export const initial = { blocks: [], status: "RUNNING", error: null, waits: null, sequence: 0 };

/** @type {Readonly<Record<string, readonly [kind: string, field: "text" | "partialJson"]>>} */
const PIECES = {
  TextDelta: ["TextBlock", "text"],
  ThinkingDelta: ["ThinkingBlock", "text"],
  ToolInputDelta: ["ToolUseBlock", "partialJson"],
};

/** @type {Readonly<Record<string, Status>>} */
const ENDS = { GenerationCompleted: "COMPLETED", GenerationStopped: "STOPPED", GenerationFailed: "FAILED" };

/** @type {(state: State, event: StreamEvent) => State} */
export function apply(state, event) {
  const kind = event.__typename ?? "";
  // After a resume the server repeats the terminal event, in case the client missed it. This state already has it.
  if (kind === "MessageSnapshot") return ended(state) && event.reason === "ENDED" ? state : replaced(event);
  if (ended(state) || (event.sequence ?? Infinity) <= state.sequence) return state;
  const next = { ...state, sequence: event.sequence ?? state.sequence };
  const end = ENDS[kind];
  if (end) return { ...next, status: end, waits: null, error: event.error ?? null };
  if (kind === "ToolResultsRequired") return { ...next, status: "AWAITING_TOOL_RESULTS", waits: event };
  // Any event after ToolResultsRequired means that the answer continues.
  const running = /** @type {State} */ ({ ...next, status: "RUNNING", waits: null });
  const piece = PIECES[kind];
  return piece ? withPiece(running, event, ...piece) : withBlock(running, event.index, event.block);
}

/** @type {(state: State) => string} */
export function text(state) {
  const shown = state.blocks.filter((block) => block?.__typename === "TextBlock" || block?.__typename === "JsonBlock");
  return shown.map((block) => block?.text ?? "").join("");
}

/** @type {(state: State) => boolean} */
export function ended(state) {
  return Object.values(ENDS).includes(state.status);
}

/** @type {(snapshot: StreamEvent) => State} */
function replaced({ message, generation, sequence }) {
  // `generation` is current and may be ahead of this snapshot. Its end, or ToolResultsRequired, arrives as an event.
  const status = generation?.status === "QUEUED" ? "QUEUED" : "RUNNING";
  const start = /** @type {State} */ ({ ...initial, status, sequence: sequence ?? 0 });
  return (message?.content ?? []).reduce((state, block, position) => withBlock(state, block.index ?? position, block), start);
}

/** @type {(state: State, event: StreamEvent, kind: string, field: "text" | "partialJson") => State} */
function withPiece(state, event, kind, field) {
  const block = state.blocks[event.index ?? -1] ?? { __typename: kind, index: event.index };
  const before = (block[field] ?? "").slice(0, event.offset ?? undefined);
  return withBlock(state, event.index, { ...block, [field]: before + (event[field] ?? "") });
}

/** @type {(state: State, index: number | null | undefined, block: Block | null | undefined) => State} */
function withBlock(state, index, block) {
  if (index === undefined || index === null || !block) return state;
  const blocks = [...state.blocks];
  while (blocks.length < index) blocks.push(null);
  blocks[index] = block;
  return { ...state, blocks };
}
