/**
 * The whole rule of a client: a snapshot replaces; a delta sets its block to what stands before `offset`, plus its
 * piece. Applying an event twice changes nothing. State: { blocks: [{ kind, text, ... }], status, error, waits }, where
 * `waits` is the ToolResultsRequired that the answer waits behind, or null.
 */
export const nothing = { blocks: [], status: "RUNNING", error: null, waits: null };

export function apply(state, event) {
  switch (event.__typename) {
    case "MessageSnapshot":
      return { ...nothing, blocks: placed(event.message.content), status: event.generation.status };
    case "ContentBlockStarted":
    case "ContentBlockFinished":
      return withBlock(state, event.index, shown(event.block));
    case "TextDelta":
    case "ThinkingDelta":
      return withPiece(state, event, event.text);
    case "ToolInputDelta":
      return withPiece(state, event, event.partialJson);
    case "ToolResultsRequired":
      return { ...state, status: "AWAITING_TOOL_RESULTS", waits: event };
    case "GenerationCompleted":
      return { ...state, status: "COMPLETED", waits: null };
    case "GenerationStopped":
      return { ...state, status: "STOPPED", waits: null };
    case "GenerationFailed":
      return { ...state, status: "FAILED", error: event.error, waits: null };
    default:
      return state;
  }
}

export function placed(content) {
  const blocks = [];
  for (const block of content) blocks[block.index] = shown(block);
  return blocks;
}

function shown(block) {
  const text = block.text ?? block.partialJson ?? written(block.input ?? block.output);
  return { kind: block.__typename, text, name: block.name ?? null, isError: block.isError ?? false };
}

function written(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function withPiece(state, event, piece) {
  const block = state.blocks[event.index] ?? { kind: "TextBlock", text: "", name: null };
  return withBlock(state, event.index, { ...block, text: block.text.slice(0, event.offset) + piece });
}

function withBlock(state, index, block) {
  const blocks = state.blocks.slice();
  blocks[index] = block;
  // What follows a wait says that it is over.
  return { ...state, blocks, status: state.waits ? "RUNNING" : state.status, waits: null };
}
