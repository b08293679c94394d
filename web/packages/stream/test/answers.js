// Generators of answers as the server would write them, and of the ways in which a client can receive them.
import fc from "fast-check";
import { initial } from "@tertulia/stream";

const FIELDS = { TextDelta: "text", ThinkingDelta: "text", ToolInputDelta: "partialJson" };
const ENDS = { GenerationCompleted: "COMPLETED", GenerationStopped: "STOPPED", GenerationFailed: "FAILED" };
const FAILURE = { code: "OVERLOADED", message: "Claude is overloaded.", retryable: true };

const texts = fc.string({ unit: "grapheme", maxLength: 20 });

/** Pieces of a text that is split anywhere, also in the middle of a surrogate pair. */
const split = (written) =>
  fc.uniqueArray(fc.nat(written.length), { maxLength: 8 }).map((cuts) => {
    const ends = [0, ...cuts.sort((a, b) => a - b), written.length];
    return ends.slice(1).map((end, previous) => written.slice(ends[previous], end)).filter(Boolean);
  });

/** A block before and after its deltas, and the pieces of its text. */
const block = fc
  .tuple(
    fc.constantFrom("text", "thinking", "redacted", "call", "interrupted call", "json", "result", "summary"),
    texts,
    fc.constantFrom("", "", "é😀"),
  )
  .chain(([kind, said, before]) => {
    const make = (begun, rest, delta = "TextDelta", written = "") =>
      split(written).map((pieces) => ({ begun, whole: { ...begun, ...rest }, delta, pieces }));
    const json = JSON.stringify({ for: said });
    if (kind === "text") {
      const begun = { __typename: "TextBlock", text: before, citations: [] };
      return make(begun, { text: before + said, citations: [{ citedText: "so it is" }] }, "TextDelta", said);
    }
    if (kind === "thinking") {
      const begun = { __typename: "ThinkingBlock", text: before, redacted: false };
      return make(begun, { text: before + said }, "ThinkingDelta", said);
    }
    if (kind === "redacted") return make({ __typename: "ThinkingBlock", text: "", redacted: true }, {});
    if (kind === "call" || kind === "interrupted call") {
      const begun = { __typename: "ToolUseBlock", toolUseId: "toolu_1", name: "pay", input: {}, partialJson: null };
      if (kind === "call") return make(begun, { input: { for: said } }, "ToolInputDelta", json);
      return make(begun, { partialJson: json.slice(0, -1) }, "ToolInputDelta", json.slice(0, -1));
    }
    if (kind === "json") {
      const begun = { __typename: "JsonBlock", text: "", value: null, problem: null };
      return make(begun, { text: json, value: { for: said } }, "TextDelta", json);
    }
    if (kind === "result") {
      const begun = { __typename: "ToolResultBlock", toolUseId: "toolu_1", output: null, isError: false };
      return make(begun, { output: said });
    }
    return make({ __typename: "CompactionBlock", summary: null }, { summary: said });
  });

/** The events of a block without their numbers, and the block after each. */
function steps({ begun, whole, delta, pieces }, index) {
  const field = FIELDS[delta];
  let written = begun[field] ?? "";
  const found = [[{ __typename: "ContentBlockStarted", index, block: { ...begun, index } }, { ...begun, index }]];
  for (const piece of pieces) {
    const event = { __typename: delta, index, offset: written.length, [field]: piece };
    written += piece;
    found.push([event, { ...begun, index, [field]: written }]);
  }
  const finished = { ...whole, index };
  return [...found, [{ __typename: "ContentBlockFinished", index, block: finished }, finished]];
}

/** The events with their numbers, and the state after each, calculated independently of the reducer. */
function numbered(unnumbered, end) {
  const last = end === "GenerationFailed" ? { __typename: end, error: FAILURE } : { __typename: end };
  const events = [];
  const written = [initial];
  const blocks = [];
  for (const [event, left] of [[{ __typename: "GenerationStarted" }], ...unnumbered, [last]]) {
    const sequence = events.length + 1;
    events.push({ ...event, sequence });
    if (left) blocks[event.index] = left;
    const waits = event.__typename === "ToolResultsRequired" ? events.at(-1) : null;
    const status = ENDS[event.__typename] ?? (waits ? "AWAITING_TOOL_RESULTS" : "RUNNING");
    written.push({ blocks: Array.from(blocks, (one) => one ?? null), status, error: event.error ?? null, waits, sequence });
  }
  return { events, written };
}

/** Answers of any blocks, one after the other or at the same time, with waits, interruptions, and one of the three ends. */
export const answers = fc
  .record({
    blocks: fc.array(block, { maxLength: 5 }),
    together: fc.boolean(),
    turns: fc.infiniteStream(fc.nat()),
    end: fc.constantFrom(...Object.keys(ENDS)),
    kept: fc.nat(60),
  })
  .map(({ blocks, together, turns, end, kept }) => {
    const found = [];
    const next = (below) => turns.next().value % below;
    let queues = blocks.map(steps);
    while ((queues = queues.filter((queue) => queue.length > 0)).length > 0) {
      const calls = [{ toolUseId: "toolu_1", name: "pay", input: {} }];
      if (next(10) === 0) found.push([{ __typename: "ToolResultsRequired", toolUses: calls, approvals: calls }]);
      if (next(10) === 0) found.push([{ __typename: "GenerationContinued", reason: "INTERRUPTED", attempt: 1 }]);
      found.push(queues[together ? next(queues.length) : 0].shift());
    }
    return numbered(end === "GenerationCompleted" ? found : found.slice(0, kept), end);
  });

/** The same texts, split into deltas in two ways. */
export const twoSplits = fc.array(texts, { minLength: 1, maxLength: 4 }).chain((said) => {
  const version = fc.tuple(...said.map(split)).map((cut) => {
    const begun = { __typename: "TextBlock", text: "" };
    const blocks = cut.map((pieces, index) => ({ begun, whole: { ...begun, text: said[index] }, delta: "TextDelta", pieces }));
    return numbered(blocks.flatMap(steps), "GenerationCompleted");
  });
  return fc.tuple(version, version, fc.constant(said.join("")));
});

export function snapshot({ written }, at, status = "RUNNING") {
  const content = written[at].blocks.filter(Boolean);
  return { __typename: "MessageSnapshot", sequence: at, generation: { status }, message: { content } };
}

function lastNeighbour({ events }, first) {
  const begun = events[first - 1];
  const joins = (event) => begun.__typename in FIELDS && event.__typename === begun.__typename && event.index === begun.index;
  let last = first;
  while (joins(events[last])) last += 1;
  return last;
}

function merged({ events }, first, last) {
  if (first === last) return events[first - 1];
  const field = FIELDS[events[first - 1].__typename];
  const joined = events.slice(first - 1, last).map((event) => event[field]).join("");
  return { ...events[first - 1], sequence: last, [field]: joined };
}

/** An answer, and the events that a client receives: merged or not, repeated, or started again with any snapshot. */
export const followings = fc
  .record({
    answer: answers,
    moves: fc.array(fc.constantFrom("on", "on", "again", "snapshot"), { maxLength: 30 }),
    turns: fc.infiniteStream(fc.nat()),
  })
  .map(({ answer, moves, turns }) => {
    const between = (low, high) => low + (turns.next().value % (high - low + 1));
    const seen = [];
    let known = initial;
    for (const move of moves) {
      if (move === "snapshot") {
        const at = between(0, answer.events.length - 1);
        // The generation's status is current, which may be ahead of the snapshot's content.
        const status = ["RUNNING", "AWAITING_TOOL_RESULTS", answer.written.at(-1).status][between(0, 2)];
        known = { ...answer.written[at], status: "RUNNING", waits: null };
        seen.push({ event: snapshot(answer, at, status), state: known });
        continue;
      }
      const first = move === "again" ? between(1, Math.max(known.sequence, 1)) : known.sequence + 1;
      if (first > answer.events.length) continue;
      const last = between(first, lastNeighbour(answer, first));
      if (last > known.sequence) known = answer.written[last];
      seen.push({ event: merged(answer, first, last), state: known });
    }
    for (let number = known.sequence + 1; number <= answer.events.length; number += 1) {
      seen.push({ event: answer.events[number - 1], state: answer.written[number] });
    }
    return { answer, seen };
  });
