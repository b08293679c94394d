/** Converts the difference of two states of `@tertulia/stream` to the AI SDK's chunks. All functions are pure. */

import { ended, type Block, type State } from "@tertulia/stream";
import type { Citation, InferUIMessageChunk, UIMessage } from "ai";
import type { Generation } from "./tertulia";

/** A message of this chat: `metadata` is the answer's generation, once it has ended. */
export type TertuliaMessage = UIMessage<Generation, { compaction: { summary: string | null } }>;
export type Chunk = InferUIMessageChunk<TertuliaMessage>;
type Part = Block & { index: number };

/**
 * Return the chunks that lead from the state `shown` to the state `now`.
 *
 * Returns nothing if `now` is not newer, as after a reconnection's snapshot or a repeated event.
 */
export function chunks(shown: State, now: State): Chunk[] {
  if (now.sequence <= shown.sequence) return [];
  return parts(now).flatMap((block) => {
    const start = shown.blocks[block.index] ? [] : stepStart(now, block);
    return [...start, ...blockChunks(shown, now, block)];
  });
}

/** Return the shown state after these chunks. It keeps `waits` after the wait, because its calls were announced. */
export function shownAfter(shown: State, now: State): State {
  return now.sequence <= shown.sequence ? shown : { ...now, waits: now.waits ?? shown.waits };
}

/** A step of the AI SDK is a turn of Claude: the first one, and one after each round of tools. */
function stepStart(now: State, block: Part): Chunk[] {
  const before = parts(now).findLast((one) => one.index < block.index);
  return !isToolsOwn(block) && (!before || isToolsOwn(before)) ? [{ type: "start-step" }] : [];
}

function blockChunks(shown: State, now: State, block: Part): Chunk[] {
  switch (block.__typename) {
    case "TextBlock":
    case "JsonBlock":
      return textChunks("text", shown, now, block);
    case "ThinkingBlock":
      return block.redacted ? [] : textChunks("reasoning", shown, now, block);
    case "ToolUseBlock":
      return callChunks(shown, now, block);
    case "ToolResultBlock":
      return resultChunks(shown, now, block);
    case "ImageBlock":
    case "DocumentBlock":
      return shown.blocks[block.index] ? [] : fileChunks(block);
    case "CompactionBlock":
      return compactionChunks(shown.blocks[block.index], block);
    default:
      return [];
  }
}

function textChunks(kind: "text" | "reasoning", shown: State, now: State, block: Part): Chunk[] {
  const before = shown.blocks[block.index];
  const [id, seen, text] = [String(block.index), before?.text ?? "", block.text ?? ""];
  const out: Chunk[] = before ? [] : [{ type: `${kind}-start`, id }];
  // The text of a block only grows.
  if (text.length > seen.length) out.push({ type: `${kind}-delta`, id, delta: text.slice(seen.length) });
  const isWhole = kind === "text" ? isWholeText : isPast;
  if (isWhole(now, block.index) && !(before && isWhole(shown, block.index))) {
    out.push(kind === "text" ? { type: "text-end", id, ...cited(block) } : { type: "reasoning-end", id });
  }
  return out;
}

function callChunks(shown: State, now: State, block: Part): Chunk[] {
  const before = shown.blocks[block.index];
  const call = { toolCallId: block.toolUseId ?? "", toolName: block.name ?? "", dynamic: true };
  const { toolCallId } = call;
  const [seen, json] = [before?.partialJson ?? "", block.partialJson ?? ""];
  const out: Chunk[] = before ? [] : [{ type: "tool-input-start", ...call }];
  if (json.length > seen.length) {
    out.push({ type: "tool-input-delta", toolCallId, inputTextDelta: json.slice(seen.length) });
  }
  if (isIncomplete(now, block.index)) {
    const input = block.input ?? {};
    const errorText = "Claude did not complete this call.";
    return isIncomplete(shown, block.index) ? out : [...out, { type: "tool-input-error", ...call, input, errorText }];
  }
  if (isMade(now, toolCallId) && !isMade(shown, toolCallId)) {
    // Calls that the server runs are "provider executed", so that the page does not run them too.
    const providerExecuted = !isOurs(now, toolCallId);
    out.push({ type: "tool-input-available", ...call, input: block.input ?? {}, providerExecuted });
  }
  if (asks(now, toolCallId) && !asks(shown, toolCallId)) {
    out.push({ type: "tool-approval-request", approvalId: toolCallId, toolCallId });
  }
  if (ended(now) && !ended(shown) && !isSettled(now, toolCallId)) {
    out.push({ type: "tool-output-error", toolCallId, errorText: "The answer ended before this call had a result." });
  }
  return out;
}

function resultChunks(shown: State, now: State, block: Part): Chunk[] {
  const toolCallId = block.toolUseId ?? "";
  const known = parts(now).some((one) => one.__typename === "ToolUseBlock" && one.toolUseId === toolCallId);
  if (!known || !isSettled(now, toolCallId) || isSettled(shown, toolCallId)) return [];
  const { output } = block;
  if (!block.isError) return [{ type: "tool-output-available", toolCallId, output }];
  return [
    { type: "tool-output-error", toolCallId, errorText: typeof output === "string" ? output : JSON.stringify(output) },
  ];
}

function fileChunks(block: Part): Chunk[] {
  const { url, mediaType } = block.attachment as { url: string; mediaType: string };
  return [{ type: "file", url, mediaType }];
}

function compactionChunks(before: Block | null | undefined, block: Part): Chunk[] {
  const summary = block.summary ?? null;
  if (before && (before.summary ?? null) === summary) return [];
  return [{ type: "data-compaction", id: String(block.index), data: { summary } }];
}

/** Return the citations of a block, without their positions in the source, for which the AI SDK has no field. */
function cited(block: Part): { citations?: Citation[] } {
  const found = (block.citations ?? []) as { citedText: string; source: string }[];
  const citations = found.map(({ citedText, source }, position): Citation => {
    const id = `${block.index}-${position}`;
    const document = { sourceType: "document", id, title: source, mediaType: "application/octet-stream" } as const;
    const from = /^https?:/.test(source) ? ({ sourceType: "url", id, url: source } as const) : document;
    return { source: { type: "source", ...from }, citedText };
  });
  return citations.length ? { citations } : {};
}

/** Return all known blocks with their index. Kinds that this client does not know are left out. */
function parts(state: State): Part[] {
  return state.blocks.flatMap((block, index) => (block ? [{ ...block, index }] : []));
}

/** Whether a block is a tool's result, or an image or document of a result. */
function isToolsOwn(block: Block): boolean {
  return ["ToolResultBlock", "ImageBlock", "DocumentBlock"].includes(block.__typename ?? "");
}

/** Whether Claude has left a block: it writes one block after the other. */
function isPast(state: State, index: number): boolean {
  return index < state.blocks.length - 1 || rests(state);
}

/** Whether a text is complete. A text that was interrupted can continue after thinking, which has its own block. */
function isWholeText(state: State, index: number): boolean {
  const later = state.blocks.findLastIndex((block) => block?.__typename !== "ThinkingBlock");
  return index < later || rests(state);
}

/** Whether Claude does not write: the answer waits for the client, or has ended. */
function rests(state: State): boolean {
  return state.status === "AWAITING_TOOL_RESULTS" || ended(state);
}

/** Whether Claude has left a call without completing its input, because its response was interrupted or cut off. */
function isIncomplete(state: State, index: number): boolean {
  // At the end of a round of tools the server replaces an input that is complete, but that it does not accept.
  const roundIsOver = rests(state) || state.blocks.slice(index).some((block) => block?.__typename === "ToolResultBlock");
  return roundIsOver && (state.blocks[index]?.partialJson ?? null) !== null;
}

/** Whether a call's input is complete: it has a result, even an empty one, is waited for, or the answer has ended. */
function isMade(state: State, toolUseId: string): boolean {
  return Boolean(resultOf(state, toolUseId)) || isWaitedFor(state, toolUseId) || ended(state);
}

function isSettled(state: State, toolUseId: string): boolean {
  const result = resultOf(state, toolUseId);
  return (result?.output ?? null) !== null || Boolean(result?.isError);
}

function resultOf(state: State, toolUseId: string): Block | null | undefined {
  return state.blocks.find((block) => block?.__typename === "ToolResultBlock" && block.toolUseId === toolUseId);
}

function isWaitedFor(state: State, toolUseId: string): boolean {
  return Boolean(state.waits?.toolUses?.some((call) => call.toolUseId === toolUseId));
}

function asks(state: State, toolUseId: string): boolean {
  return Boolean(state.waits?.approvals?.some((call) => call.toolUseId === toolUseId));
}

/** Whether the answer waits for this page to run the call. */
function isOurs(state: State, toolUseId: string): boolean {
  return isWaitedFor(state, toolUseId) && !asks(state, toolUseId);
}
