/** Converts the difference of two states of `@tertulia/stream` to AG-UI events. All functions are pure. */

import { EventType, type AGUIEvent, type AssistantMessage, type ContentPart, type Message } from "@ag-ui/core";
import { ended, type Block, type State } from "@tertulia/stream";
import type { Stored } from "./tertulia";

type Part = Block & { index: number };
/** The result of a call that Claude has begun, and that was interrupted before its input was complete. */
const INCOMPLETE = "Claude did not complete this call.";

/**
 * Return the events that lead from the state `shown` to the state `now`.
 *
 * Returns nothing if `now` is not newer, as after a reconnection's snapshot or a repeated event.
 *
 * @param messageId The id of the answer's message.
 * @param answered The calls whose results came from the client, which therefore has them.
 */
export function events(shown: State, now: State, messageId: string, answered: ReadonlySet<string>): AGUIEvent[] {
  if (now.sequence <= shown.sequence) return [];
  return parts(now.blocks).flatMap((block) => {
    switch (block.__typename) {
      case "TextBlock":
      case "JsonBlock":
        return textEvents(shown, now, block, idOf(messageId, block.index));
      case "ThinkingBlock":
        return block.redacted ? [] : thinkingEvents(shown, now, block, idOf(messageId, block.index));
      case "ToolUseBlock":
        return callEvents(shown, now, block, messageId, answered);
      case "ToolResultBlock":
        return resultEvents(shown, now, block, idOf(messageId, block.index), answered);
      default:
        return [];
    }
  });
}

/** Return the shown state after these events. It keeps `waits` after the wait, because its calls were announced. */
export function shownAfter(shown: State, now: State): State {
  return now.sequence <= shown.sequence ? shown : { ...now, waits: now.waits ?? shown.waits };
}

/** Convert a stored message to AG-UI messages: the same that result from the events of an answer. */
export function messagesOf({ id, role, content }: Stored): Message[] {
  if (role === "USER") return [{ id, role: "user", content: content.flatMap(written) }];
  const blocks = parts(content);
  const converted = new Map<string, Message>();
  for (const block of blocks) {
    const own = idOf(id, block.index);
    if (isText(block)) converted.set(own, { id: own, role: "assistant", content: block.text ?? "" });
    if (block.__typename === "ThinkingBlock" && !block.redacted) {
      converted.set(own, { id: own, role: "reasoning", content: block.text ?? "" });
    }
    if (block.__typename === "ToolUseBlock") {
      const parent = parentOf(blocks, block, id);
      const holder = (converted.get(parent) ?? { id: parent, role: "assistant" }) as AssistantMessage;
      const call = { name: block.name ?? "", arguments: JSON.stringify(block.input ?? {}) };
      const toolCalls = [
        ...(holder.toolCalls ?? []),
        { id: block.toolUseId ?? "", type: "function" as const, function: call },
      ];
      converted.set(parent, { ...holder, toolCalls });
      const result = `${id}-${block.toolUseId}`;
      if ((block.partialJson ?? null) !== null) {
        converted.set(result, { id: result, role: "tool", toolCallId: block.toolUseId ?? "", content: INCOMPLETE });
      }
    }
    if (block.__typename === "ToolResultBlock" && isThere(block)) {
      converted.set(own, { id: own, role: "tool", toolCallId: block.toolUseId ?? "", content: asText(block.output) });
    }
  }
  return [...converted.values()];
}

function textEvents(shown: State, now: State, block: Part, messageId: string): AGUIEvent[] {
  const before = shown.blocks[block.index];
  const delta = (block.text ?? "").slice((before?.text ?? "").length);
  const out: AGUIEvent[] = before ? [] : [{ type: EventType.TEXT_MESSAGE_START, messageId, role: "assistant" }];
  if (delta) out.push({ type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta });
  if (isWholeText(now, block.index) && !(before && isWholeText(shown, block.index))) {
    out.push({ type: EventType.TEXT_MESSAGE_END, messageId });
  }
  return out;
}

function thinkingEvents(shown: State, now: State, block: Part, messageId: string): AGUIEvent[] {
  const before = shown.blocks[block.index];
  const delta = (block.text ?? "").slice((before?.text ?? "").length);
  const out: AGUIEvent[] = [];
  if (!before) {
    out.push({ type: EventType.REASONING_START, messageId });
    out.push({ type: EventType.REASONING_MESSAGE_START, messageId, role: "reasoning" });
  }
  if (delta) out.push({ type: EventType.REASONING_MESSAGE_CONTENT, messageId, delta });
  if (isPast(now, block.index) && !(before && isPast(shown, block.index))) {
    out.push({ type: EventType.REASONING_MESSAGE_END, messageId });
    out.push({ type: EventType.REASONING_END, messageId });
  }
  return out;
}

function callEvents(shown: State, now: State, block: Part, id: string, answered: ReadonlySet<string>): AGUIEvent[] {
  const [toolCallId, toolCallName] = [block.toolUseId ?? "", block.name ?? ""];
  const out: AGUIEvent[] = [];
  if (!shown.blocks[block.index]) {
    const parentMessageId = parentOf(parts(now.blocks), block, id);
    out.push({ type: EventType.TOOL_CALL_START, toolCallId, toolCallName, parentMessageId });
  }
  if (isMade(now, block) && !isMade(shown, block)) {
    // In one piece: after a reconnection, only the complete input tells which part of its JSON text was missed.
    out.push({ type: EventType.TOOL_CALL_ARGS, toolCallId, delta: JSON.stringify(block.input ?? {}) });
    out.push({ type: EventType.TOOL_CALL_END, toolCallId });
  }
  const messageId = `${id}-${toolCallId}`;
  if (isIncomplete(now, block.index)) {
    // With a result, so that no client runs the call.
    const result = { type: EventType.TOOL_CALL_RESULT, messageId, toolCallId, content: INCOMPLETE } as const;
    return isIncomplete(shown, block.index) ? out : [...out, result];
  }
  if (ended(now) && !ended(shown) && !isSettled(now, toolCallId) && !answered.has(toolCallId)) {
    const content = "The answer ended before this call had a result.";
    out.push({ type: EventType.TOOL_CALL_RESULT, messageId, toolCallId, content });
  }
  return out;
}

function resultEvents(
  shown: State,
  now: State,
  block: Part,
  messageId: string,
  answered: ReadonlySet<string>,
): AGUIEvent[] {
  const toolCallId = block.toolUseId ?? "";
  if (answered.has(toolCallId) || !isSettled(now, toolCallId) || isSettled(shown, toolCallId)) return [];
  const content = asText(block.output);
  const metadata = block.isError ? { metadata: { isError: true } } : {};
  return [{ type: EventType.TOOL_CALL_RESULT, messageId, toolCallId, content, ...metadata }];
}

/** Convert a block of a user message: its text, or an attached file. */
function written(block: Block): ContentPart[] {
  if (isText(block)) return [{ type: "text", text: block.text ?? "" }];
  const file = block.attachment as { url: string; mediaType: string } | undefined;
  if (!file) return [];
  const source = { type: "url" as const, value: file.url, mimeType: file.mediaType };
  return [{ type: block.__typename === "ImageBlock" ? "image" : "document", source }];
}

/** Each text, thinking and result block of an answer is a message of its own in AG-UI. */
function idOf(messageId: string, index: number): string {
  return `${messageId}-${index}`;
}

/** Return the id of a call's message: that of the text before it, or one that the calls of a turn share. */
function parentOf(blocks: readonly Part[], call: Part, messageId: string): string {
  let index = call.index;
  for (const block of blocks.filter((one) => one.index < call.index).reverse()) {
    if (block.__typename !== "ToolUseBlock" && !isText(block)) break;
    index = block.index;
    if (isText(block)) break;
  }
  return idOf(messageId, index);
}

/** Return all known blocks with their index. */
function parts(blocks: readonly (Block | null)[]): Part[] {
  return blocks.flatMap((block, position) => (block ? [{ ...block, index: block.index ?? position }] : []));
}

function isText(block: Block): boolean {
  return block.__typename === "TextBlock" || block.__typename === "JsonBlock";
}

function asText(output: unknown): string {
  return typeof output === "string" ? output : JSON.stringify(output);
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

/** Whether a call's input no longer changes: it has a result, even an empty one, is waited for, or Claude has left it. */
function isMade(state: State, { index, toolUseId = "" }: Part): boolean {
  const isWaitedFor = state.waits?.toolUses?.some((call) => call.toolUseId === toolUseId);
  const hasResult = Boolean(resultOf(state, toolUseId ?? ""));
  return Boolean(isWaitedFor) || hasResult || isIncomplete(state, index) || ended(state);
}

function isSettled(state: State, toolUseId: string): boolean {
  const result = resultOf(state, toolUseId);
  return Boolean(result && isThere(result));
}

function isThere(result: Block): boolean {
  return (result.output ?? null) !== null || Boolean(result.isError);
}

function resultOf(state: State, toolUseId: string): Block | null | undefined {
  return state.blocks.find((block) => block?.__typename === "ToolResultBlock" && block.toolUseId === toolUseId);
}
