/** What the AI SDK is to hear when an answer has gone on: the difference of two states of `@tertulia/stream`. Pure. */

import { ended, type Block, type State } from "@tertulia/stream";
import type { Citation, InferUIMessageChunk, UIMessage } from "ai";
import type { Generation } from "./tertulia";

/** A message of this chat: `metadata` is the answer's generation, once it has ended. */
export type TertuliaMessage = UIMessage<Generation, { compaction: { summary: string | null } }>;
export type Chunk = InferUIMessageChunk<TertuliaMessage>;
type Part = Block & { index: number };

/**
 * Give the chunks that lead from what was shown to what is known now.
 *
 * Nothing where `now` is not ahead of it: a snapshot behind a lost connection, or an event that comes twice.
 */
export function chunks(shown: State, now: State): Chunk[] {
  if (now.sequence <= shown.sequence) return [];
  return parts(now).flatMap((block) => {
    const begun = shown.blocks[block.index] ? [] : begins(now, block);
    return [...begun, ...goesOn(shown, now, block)];
  });
}

/** Give what is shown once these chunks are out. A wait stays known when it is over: it has announced its calls. */
export function behind(shown: State, now: State): State {
  return now.sequence <= shown.sequence ? shown : { ...now, waits: now.waits ?? shown.waits };
}

/** A step of the AI SDK is a turn of Claude's: the first one, and one behind each round of tools. */
function begins(now: State, block: Part): Chunk[] {
  const before = parts(now).findLast((one) => one.index < block.index);
  return !isToolsOwn(block) && (!before || isToolsOwn(before)) ? [{ type: "start-step" }] : [];
}

function goesOn(shown: State, now: State, block: Part): Chunk[] {
  switch (block.__typename) {
    case "TextBlock":
    case "JsonBlock":
      return written("text", shown, now, block);
    case "ThinkingBlock":
      return block.redacted ? [] : written("reasoning", shown, now, block);
    case "ToolUseBlock":
      return called(shown, now, block);
    case "ToolResultBlock":
      return resulted(shown, now, block);
    case "ImageBlock":
    case "DocumentBlock":
      return shown.blocks[block.index] ? [] : attached(block);
    case "CompactionBlock":
      return compacted(shown.blocks[block.index], block);
    default:
      return [];
  }
}

function written(kind: "text" | "reasoning", shown: State, now: State, block: Part): Chunk[] {
  const before = shown.blocks[block.index];
  const [id, seen, text] = [String(block.index), before?.text ?? "", block.text ?? ""];
  const out: Chunk[] = before ? [] : [{ type: `${kind}-start`, id }];
  // A block is only ever added to.
  if (text.length > seen.length) out.push({ type: `${kind}-delta`, id, delta: text.slice(seen.length) });
  if (isWhole(now, block.index) && !(before && isWhole(shown, block.index))) {
    out.push(kind === "text" ? { type: "text-end", id, ...cited(block) } : { type: "reasoning-end", id });
  }
  return out;
}

function called(shown: State, now: State, block: Part): Chunk[] {
  const before = shown.blocks[block.index];
  const call = { toolCallId: block.toolUseId ?? "", toolName: block.name ?? "", dynamic: true };
  const { toolCallId } = call;
  const [seen, json] = [before?.partialJson ?? "", block.partialJson ?? ""];
  const out: Chunk[] = before ? [] : [{ type: "tool-input-start", ...call }];
  if (json.length > seen.length) {
    out.push({ type: "tool-input-delta", toolCallId, inputTextDelta: json.slice(seen.length) });
  }
  if (isMade(now, toolCallId) && !isMade(shown, toolCallId)) {
    // What the server runs is "provider executed": nobody here is to run it too.
    const providerExecuted = !isOurs(now, toolCallId);
    out.push({ type: "tool-input-available", ...call, input: block.input ?? {}, providerExecuted });
  }
  if (asks(now, toolCallId) && !asks(shown, toolCallId)) {
    out.push({ type: "tool-approval-request", approvalId: toolCallId, toolCallId });
  }
  if (ended(now) && !ended(shown) && !isSettled(now, toolCallId)) {
    out.push({ type: "tool-output-error", toolCallId, errorText: "The answer was ended before there was a result." });
  }
  return out;
}

function resulted(shown: State, now: State, block: Part): Chunk[] {
  const toolCallId = block.toolUseId ?? "";
  const known = parts(now).some((one) => one.__typename === "ToolUseBlock" && one.toolUseId === toolCallId);
  if (!known || !isSettled(now, toolCallId) || isSettled(shown, toolCallId)) return [];
  const { output } = block;
  if (!block.isError) return [{ type: "tool-output-available", toolCallId, output }];
  return [
    { type: "tool-output-error", toolCallId, errorText: typeof output === "string" ? output : JSON.stringify(output) },
  ];
}

function attached(block: Part): Chunk[] {
  const { url, mediaType } = block.attachment as { url: string; mediaType: string };
  return [{ type: "file", url, mediaType }];
}

function compacted(before: Block | null | undefined, block: Part): Chunk[] {
  const summary = block.summary ?? null;
  if (before && (before.summary ?? null) === summary) return [];
  return [{ type: "data-compaction", id: String(block.index), data: { summary } }];
}

/** Where Tertulia's citations stand in their source the AI SDK has no place for. */
function cited(block: Part): { citations?: Citation[] } {
  const found = (block.citations ?? []) as { citedText: string; source: string }[];
  const citations = found.map(({ citedText, source }, place): Citation => {
    const id = `${block.index}-${place}`;
    const document = { sourceType: "document", id, title: source, mediaType: "application/octet-stream" } as const;
    const from = /^https?:/.test(source) ? ({ sourceType: "url", id, url: source } as const) : document;
    return { source: { type: "source", ...from }, citedText };
  });
  return citations.length ? { citations } : {};
}

/** All blocks that are known; kinds that this client has no name for are left out. */
function parts(state: State): Part[] {
  return state.blocks.flatMap((block, index) => (block ? [{ ...block, index }] : []));
}

/** Results of tools, and the pictures behind them. */
function isToolsOwn(block: Block): boolean {
  return ["ToolResultBlock", "ImageBlock", "DocumentBlock"].includes(block.__typename ?? "");
}

/** Claude writes one block after the other. */
function isWhole(state: State, index: number): boolean {
  return index < state.blocks.length - 1 || state.status === "AWAITING_TOOL_RESULTS" || ended(state);
}

/** Whether a call is under way: it has a result, be it an empty one still, or is waited for, or nothing more comes. */
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

/** A tool of this page's, which the answer waits for. */
function isOurs(state: State, toolUseId: string): boolean {
  return isWaitedFor(state, toolUseId) && !asks(state, toolUseId);
}
