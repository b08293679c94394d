/** What AG-UI is to hear when an answer has gone on: the difference of two states of `@tertulia/stream`. Pure. */

import { EventType, type AGUIEvent, type AssistantMessage, type ContentPart, type Message } from "@ag-ui/core";
import { ended, type Block, type State } from "@tertulia/stream";
import type { Stored } from "./tertulia";

type Part = Block & { index: number };

/**
 * Give the events that lead from what was shown of an answer to what is known of it now.
 *
 * `messageId`: the answer's message. `answered`: calls whose results the client has, because it gave them itself.
 * Nothing where `now` is not ahead: a snapshot behind a lost connection, or an event that comes twice.
 */
export function events(shown: State, now: State, messageId: string, answered: ReadonlySet<string>): AGUIEvent[] {
  if (now.sequence <= shown.sequence) return [];
  return parts(now.blocks).flatMap((block) => {
    switch (block.__typename) {
      case "TextBlock":
      case "JsonBlock":
        return said(shown, now, block, idOf(messageId, block.index));
      case "ThinkingBlock":
        return block.redacted ? [] : thought(shown, now, block, idOf(messageId, block.index));
      case "ToolUseBlock":
        return called(shown, now, block, messageId, answered);
      case "ToolResultBlock":
        return resulted(shown, now, block, idOf(messageId, block.index), answered);
      default:
        return [];
    }
  });
}

/** Give what is shown once these events are out. A wait stays known when it is over: it has closed its calls. */
export function behind(shown: State, now: State): State {
  return now.sequence <= shown.sequence ? shown : { ...now, waits: now.waits ?? shown.waits };
}

/** Give the messages that a stored one is for AG-UI: the same that the events of an answer build. */
export function messagesOf({ id, role, content }: Stored): Message[] {
  if (role === "USER") return [{ id, role: "user", content: content.flatMap(written) }];
  const blocks = parts(content);
  const made = new Map<string, Message>();
  for (const block of blocks) {
    const own = idOf(id, block.index);
    if (isText(block)) made.set(own, { id: own, role: "assistant", content: block.text ?? "" });
    if (block.__typename === "ThinkingBlock" && !block.redacted) {
      made.set(own, { id: own, role: "reasoning", content: block.text ?? "" });
    }
    if (block.__typename === "ToolUseBlock") {
      const parent = parentOf(blocks, block, id);
      const holder = (made.get(parent) ?? { id: parent, role: "assistant" }) as AssistantMessage;
      const call = { name: block.name ?? "", arguments: JSON.stringify(block.input ?? {}) };
      const toolCalls = [
        ...(holder.toolCalls ?? []),
        { id: block.toolUseId ?? "", type: "function" as const, function: call },
      ];
      made.set(parent, { ...holder, toolCalls });
    }
    if (block.__typename === "ToolResultBlock" && isThere(block)) {
      made.set(own, { id: own, role: "tool", toolCallId: block.toolUseId ?? "", content: asText(block.output) });
    }
  }
  return [...made.values()];
}

function said(shown: State, now: State, block: Part, messageId: string): AGUIEvent[] {
  const before = shown.blocks[block.index];
  const delta = (block.text ?? "").slice((before?.text ?? "").length);
  const out: AGUIEvent[] = before ? [] : [{ type: EventType.TEXT_MESSAGE_START, messageId, role: "assistant" }];
  if (delta) out.push({ type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta });
  if (isWhole(now, block.index) && !(before && isWhole(shown, block.index))) {
    out.push({ type: EventType.TEXT_MESSAGE_END, messageId });
  }
  return out;
}

function thought(shown: State, now: State, block: Part, messageId: string): AGUIEvent[] {
  const before = shown.blocks[block.index];
  const delta = (block.text ?? "").slice((before?.text ?? "").length);
  const out: AGUIEvent[] = [];
  if (!before) {
    out.push({ type: EventType.REASONING_START, messageId });
    out.push({ type: EventType.REASONING_MESSAGE_START, messageId, role: "reasoning" });
  }
  if (delta) out.push({ type: EventType.REASONING_MESSAGE_CONTENT, messageId, delta });
  if (isWhole(now, block.index) && !(before && isWhole(shown, block.index))) {
    out.push({ type: EventType.REASONING_MESSAGE_END, messageId });
    out.push({ type: EventType.REASONING_END, messageId });
  }
  return out;
}

function called(shown: State, now: State, block: Part, id: string, answered: ReadonlySet<string>): AGUIEvent[] {
  const [toolCallId, toolCallName] = [block.toolUseId ?? "", block.name ?? ""];
  const out: AGUIEvent[] = [];
  if (!shown.blocks[block.index]) {
    const parentMessageId = parentOf(parts(now.blocks), block, id);
    out.push({ type: EventType.TOOL_CALL_START, toolCallId, toolCallName, parentMessageId });
  }
  if (isMade(now, toolCallId) && !isMade(shown, toolCallId)) {
    // In one piece: what a lost connection swallowed of its JSON text can only be told from the whole input.
    out.push({ type: EventType.TOOL_CALL_ARGS, toolCallId, delta: JSON.stringify(block.input ?? {}) });
    out.push({ type: EventType.TOOL_CALL_END, toolCallId });
  }
  if (ended(now) && !ended(shown) && !isSettled(now, toolCallId) && !answered.has(toolCallId)) {
    const content = "The answer was ended before there was a result.";
    out.push({ type: EventType.TOOL_CALL_RESULT, messageId: `${id}-${toolCallId}`, toolCallId, content });
  }
  return out;
}

function resulted(
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

/** What the user wrote, and the files that came with it. */
function written(block: Block): ContentPart[] {
  if (isText(block)) return [{ type: "text", text: block.text ?? "" }];
  const file = block.attachment as { url: string; mediaType: string } | undefined;
  if (!file) return [];
  const source = { type: "url" as const, value: file.url, mimeType: file.mediaType };
  return [{ type: block.__typename === "ImageBlock" ? "image" : "document", source }];
}

/** Each text, each thinking and each result of an answer is a message of AG-UI's. */
function idOf(messageId: string, index: number): string {
  return `${messageId}-${index}`;
}

/** Calls stand in the message of the text before them, or in one of their own, which those of one turn share. */
function parentOf(blocks: readonly Part[], call: Part, messageId: string): string {
  let index = call.index;
  for (const block of blocks.filter((one) => one.index < call.index).reverse()) {
    if (block.__typename !== "ToolUseBlock" && !isText(block)) break;
    index = block.index;
    if (isText(block)) break;
  }
  return idOf(messageId, index);
}

/** All blocks that are known, by their index. */
function parts(blocks: readonly (Block | null)[]): Part[] {
  return blocks.flatMap((block, place) => (block ? [{ ...block, index: block.index ?? place }] : []));
}

function isText(block: Block): boolean {
  return block.__typename === "TextBlock" || block.__typename === "JsonBlock";
}

function asText(output: unknown): string {
  return typeof output === "string" ? output : JSON.stringify(output);
}

/** Claude writes one block after the other. */
function isWhole(state: State, index: number): boolean {
  return index < state.blocks.length - 1 || state.status === "AWAITING_TOOL_RESULTS" || ended(state);
}

/** Whether a call is under way: it has a result, be it an empty one still, or is waited for, or nothing more comes. */
function isMade(state: State, toolUseId: string): boolean {
  const isWaitedFor = state.waits?.toolUses?.some((call) => call.toolUseId === toolUseId);
  return Boolean(isWaitedFor) || Boolean(resultOf(state, toolUseId)) || ended(state);
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
