// Property tests of the reducer: `node --test web/packages/stream/test/stream.test.js`, or `make test`.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { apply, ended, initial, text } from "@tertulia/stream";
import { answers, followings, snapshot, twoSplits } from "./answers.js";

const folded = (events) => events.reduce(apply, initial);
const holds = (arbitrary, says, numRuns = 200) => fc.assert(fc.property(arbitrary, says), { numRuns, seed: 7 });
const withoutNumber = ({ sequence, ...rest }) => rest;

/** Freeze a value deeply, so that every change throws an error: modules are strict. */
function frozen(value) {
  if (value && typeof value === "object" && !Object.isFrozen(value)) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

test("a whole stream results in the state that the server has written", () => {
  holds(answers, ({ events, written }) => assert.deepEqual(folded(events), written.at(-1)));
});

test("any merge, repetition and reconnection results in the same state, and no argument is changed", () => {
  holds(followings, ({ answer, seen }) => {
    let state = frozen(structuredClone(initial));
    for (const { event, state: expected } of seen) {
      state = frozen(apply(state, frozen(event)));
      assert.deepEqual(state, expected);
    }
    assert.deepEqual(state, answer.written.at(-1));
  }, 500);
});

test("any split of the deltas results in the same blocks", () => {
  holds(twoSplits, ([one, other, said]) => {
    assert.deepEqual({ ...folded(one.events), sequence: 0 }, { ...folded(other.events), sequence: 0 });
    assert.equal(text(folded(one.events)), said);
  });
});

test("a text only grows, unless an older snapshot arrives", () => {
  holds(followings, ({ answer, seen }) => {
    const final = answer.written.at(-1);
    let state = initial;
    for (const { event } of seen) {
      const before = state;
      state = apply(state, event);
      const older = event.__typename === "MessageSnapshot" && state.sequence < before.sequence;
      state.blocks.forEach((block, index) => {
        if (block?.text === undefined) return;
        assert.ok(final.blocks[index].text.startsWith(block.text));
        assert.ok(older || block.text.startsWith(before.blocks[index]?.text ?? ""));
      });
    }
  });
});

test("a repeated terminal event changes nothing", () => {
  holds(answers, (answer) => {
    const state = folded(answer.events);
    const again = { ...snapshot(answer, answer.events.length - 1), reason: "ENDED" };
    assert.deepEqual(apply(state, again), state);
    assert.deepEqual([again, answer.events.at(-1)].reduce(apply, state), state);
    assert.deepEqual([again, answer.events.at(-1)].reduce(apply, initial), state);
  });
});

test("an event that arrives twice in a row changes nothing", () => {
  holds(fc.tuple(answers, fc.boolean()), ([answer, numbers]) => {
    let state = initial;
    for (const event of [snapshot(answer, 0), ...answer.events]) {
      const shown = numbers ? event : withoutNumber(event);
      state = apply(state, shown);
      assert.deepEqual(apply(state, shown), state);
    }
  });
});

test("offsets are enough for clients that do not select `sequence`", () => {
  holds(fc.tuple(answers, fc.nat(), fc.nat()), ([answer, some, fewer]) => {
    const events = answer.events.map(withoutNumber);
    const lost = some % events.length;
    const found = folded([...events.slice(0, lost), ...events.slice(fewer % (lost + 1))]);
    assert.deepEqual({ ...found, waits: null }, { ...answer.written.at(-1), sequence: 0 });
  });
});

test("after the end only a snapshot changes the state; otherwise the same object is returned", () => {
  holds(answers, (answer) => {
    const state = folded(answer.events);
    for (const event of answer.events) {
      assert.equal(apply(state, event), state);
      assert.equal(apply(state, withoutNumber(event)), state);
    }
    assert.deepEqual(apply(state, snapshot(answer, 0)), initial);
  });
});

test("the text is that of text blocks and JSON blocks only", () => {
  const kinds = ["TextBlock", "ThinkingBlock", "JsonBlock", "ToolUseBlock", "TextBlock"];
  const blocks = kinds.map((__typename, index) => ({ __typename, index, text: `${index}` }));
  assert.equal(text({ ...initial, blocks: [...blocks, null] }), "024");
});

test("a queued answer is queued until it starts", () => {
  const queued = apply(initial, snapshot({ written: [initial] }, 0, "QUEUED"));
  assert.equal(queued.status, "QUEUED");
  assert.equal(apply(queued, { __typename: "GenerationStarted", sequence: 1 }).status, "RUNNING");
});

test("the position of an unknown block is null", () => {
  const said = { __typename: "TextBlock", index: 1, text: "b" };
  const state = apply(initial, { __typename: "MessageSnapshot", sequence: 4, message: { content: [said] } });
  assert.deepEqual(state.blocks, [null, said]);
  assert.equal(text(state), "b");
});

test("blocks without a selected index keep their order", () => {
  for (const index of [{}, { index: null }]) {
    const content = ["a", "b"].map((words) => ({ __typename: "TextBlock", text: words, ...index }));
    assert.deepEqual(apply(initial, { __typename: "MessageSnapshot", sequence: 4, message: { content } }).blocks, content);
  }
});

test("an unknown event advances the sequence and changes nothing else", () => {
  const state = apply(initial, { __typename: "TextDelta", sequence: 3, index: 0, offset: 0, text: "kept" });
  assert.deepEqual(apply(state, { __typename: "SomethingNew", sequence: 4 }), { ...state, sequence: 4 });
});

test("only COMPLETED, STOPPED and FAILED are ends", () => {
  const statuses = ["QUEUED", "RUNNING", "AWAITING_TOOL_RESULTS", "COMPLETED", "STOPPED", "FAILED"];
  assert.deepEqual(statuses.filter((status) => ended({ ...initial, status })), statuses.slice(3));
});
