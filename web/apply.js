/**
 * The whole rule of a client: a snapshot replaces; a delta sets its block to what stands before `offset`, plus its
 * piece. Applying an event twice changes nothing. State: { blocks: [{ kind, text, ... }], status, error }.
 */
export const nothing = { blocks: [], status: "RUNNING", error: null };

export function apply(state, event) {
  switch (event.__typename) {
    case "MessageSnapshot":
      return { blocks: placed(event.message.content), status: event.generation.status, error: null };
    case "ContentBlockStarted":
    case "ContentBlockFinished":
      return withBlock(state, event.index, shown(event.block));
    case "TextDelta":
    case "ThinkingDelta":
      return withPiece(state, event, event.text);
    case "ToolInputDelta":
      return withPiece(state, event, event.partialJson);
    case "GenerationCompleted":
      return { ...state, status: "COMPLETED" };
    case "GenerationStopped":
      return { ...state, status: "STOPPED" };
    case "GenerationFailed":
      return { ...state, status: "FAILED", error: event.error };
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
  const text = block.text ?? block.partialJson ?? (block.input ? JSON.stringify(block.input) : "");
  return { kind: block.__typename, text, name: block.name ?? null };
}

function withPiece(state, event, piece) {
  const block = state.blocks[event.index] ?? { kind: "TextBlock", text: "", name: null };
  return withBlock(state, event.index, { ...block, text: block.text.slice(0, event.offset) + piece });
}

function withBlock(state, index, block) {
  const blocks = state.blocks.slice();
  blocks[index] = block;
  return { ...state, blocks };
}
