// Tests the pure functions of examples/ai-sdk with the AI SDK's own code: however a stream arrives, each word is shown once.
// Argument: the schema's path. Prints the operations that do not fit the schema.
import { strict as assert } from "node:assert";
import { readFile } from "node:fs/promises";
import { apply, initial, text } from "@tertulia/stream";
import { readUIMessageStream } from "ai";
import fc from "fast-check";
import { buildSchema, parse, validate } from "graphql";
import { built } from "./adapter_build.mjs";

// ---- the operations

async function documents(path) {
  const schema = buildSchema(await readFile(path, "utf8"));
  const problems = [];
  const { documents: found } = await built("ai-sdk", "tertulia");
  for (const [name, document] of Object.entries(found)) {
    problems.push(...validate(schema, parse(document)).map((error) => `${name}: ${error.message}`));
  }
  return problems;
}

// ---- answers as the server would write them

const pieces = fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }), { maxLength: 5 });
const inputs = fc.dictionary(
  fc.constantFrom("a", "b"),
  fc.oneof(fc.string({ maxLength: 5 }), fc.integer(), fc.boolean()),
);
const called = fc.record({
  input: inputs,
  cuts: fc.array(fc.nat(30), { maxLength: 3 }),
  ask: fc.constantFrom("no", "user", "client"),
  output: fc.oneof(fc.string({ minLength: 1, maxLength: 5 }), inputs),
  isError: fc.boolean(),
});
const rounds = fc.array(
  fc.record({
    thinking: fc.option(pieces),
    text: fc.option(pieces),
    more: fc.option(pieces),
    interruption: fc.option(fc.record({ at: fc.nat(5), thinking: fc.option(pieces) })),
    calls: fc.array(called, { maxLength: 3 }),
    endsInCall: fc.boolean(),
  }),
  { minLength: 1, maxLength: 3 },
);
const answers = fc.record({
  rounds,
  end: fc.constantFrom("GenerationCompleted", "GenerationStopped", "GenerationFailed"),
  cutAt: fc.option(fc.nat(60)),
});

/** Return the numbered events of an answer, and the state after each. */
function logOf({ rounds, end, cutAt }) {
  const steps = [{ __typename: "GenerationStarted" }];
  let index = 0;
  let calls = 0;
  let attempt = 0;
  const continued = () =>
    steps.push({ __typename: "GenerationContinued", reason: "INTERRUPTED", attempt: (attempt += 1) });
  const streamed = (kind, delta, texts, interruption = null) => {
    const own = index++;
    const block = { __typename: kind, index: own, text: "" };
    steps.push({ __typename: "ContentBlockStarted", index: own, block });
    let offset = 0;
    for (const [place, piece] of texts.entries()) {
      if (place === interruption?.at) {
        continued();
        if (interruption.thinking) streamed("ThinkingBlock", "ThinkingDelta", interruption.thinking);
      }
      steps.push({ __typename: delta, index: own, offset, text: piece });
      offset += piece.length;
    }
    steps.push({ __typename: "ContentBlockFinished", index: own, block: { ...block, text: texts.join("") } });
  };
  /** A call that is interrupted within its input. */
  const interruptedCall = () => {
    const block = { __typename: "ToolUseBlock", index: index++, toolUseId: `call-${calls++}`, name: "tool_no", input: {} };
    steps.push({ __typename: "ContentBlockStarted", index: block.index, block: { ...block, partialJson: null } });
    steps.push({ __typename: "ToolInputDelta", index: block.index, offset: 0, partialJson: '{"a' });
    steps.push({ __typename: "ContentBlockFinished", index: block.index, block: { ...block, partialJson: '{"a' } });
  };
  for (const round of rounds) {
    if (round.thinking) streamed("ThinkingBlock", "ThinkingDelta", round.thinking);
    for (const text of [round.text, round.more]) if (text) streamed("TextBlock", "TextDelta", text, round.interruption);
    const made = round.calls.map((call) => {
      const toolUseId = `call-${calls++}`;
      const block = {
        __typename: "ToolUseBlock",
        index,
        toolUseId,
        name: `tool_${call.ask}`,
        input: {},
        partialJson: null,
      };
      steps.push({ __typename: "ContentBlockStarted", index, block });
      const json = JSON.stringify(call.input, null, 1);
      const cuts = [
        0,
        ...call.cuts.map((cut) => cut % (json.length + 1)).sort((one, other) => one - other),
        json.length,
      ];
      for (const [place, cut] of cuts.slice(1).entries()) {
        const partialJson = json.slice(cuts[place], cut);
        if (partialJson) steps.push({ __typename: "ToolInputDelta", index, offset: cuts[place], partialJson });
      }
      steps.push({ __typename: "ContentBlockFinished", index, block: { ...block, input: call.input } });
      index += 1;
      return { ...call, toolUseId };
    });
    if (round.endsInCall) interruptedCall();
    if (round.endsInCall && !made.length) continued();
    const asked = made.filter((call) => call.ask !== "no");
    const resulted = (batch) => {
      // The calls run at the same time: all results begin before the first one is complete.
      const begun = batch.map((call) => ({
        call,
        block: {
          __typename: "ToolResultBlock",
          index: index++,
          toolUseId: call.toolUseId,
          output: null,
          isError: false,
        },
      }));
      for (const { block } of begun) steps.push({ __typename: "ContentBlockStarted", index: block.index, block });
      for (const { call, block } of begun.reverse()) {
        steps.push({
          __typename: "ContentBlockFinished",
          index: block.index,
          block: { ...block, output: call.output, isError: call.isError },
        });
      }
    };
    resulted(made.filter((call) => call.ask === "no"));
    if (asked.length) {
      const toolUses = asked.map(({ toolUseId, ask, input }) => ({
        __typename: "ToolUseBlock",
        toolUseId,
        name: `tool_${ask}`,
        input,
      }));
      const approvals = toolUses.filter((call) => call.name === "tool_user");
      steps.push({ __typename: "ToolResultsRequired", toolUses, approvals });
    }
    resulted(asked);
  }
  const kept = cutAt === null ? steps : steps.slice(0, cutAt + 1);
  kept.push({ __typename: end, error: end === "GenerationFailed" ? { message: "So it is." } : null });
  const events = kept.map((event, place) => ({ ...event, sequence: place + 1 }));
  const states = events.reduce((all, event) => [...all, apply(all.at(-1), event)], [initial]);
  return { events, states };
}

const deliveries = fc.array(
  fc.record({ kind: fc.constantFrom("next", "next", "next", "again", "snapshot"), place: fc.nat(200) }),
  { maxLength: 80 },
);

/** Yield the events as an unreliable network would deliver them: some twice, some after a snapshot of any event. */
function* delivered({ events, states }, delivery) {
  let at = 0;
  const last = events.length - 1;
  const snapshot = (sequence) => {
    const content = states[sequence].blocks.filter(Boolean);
    return { __typename: "MessageSnapshot", sequence, message: { content }, generation: { status: "RUNNING" } };
  };
  for (const { kind, place } of delivery) {
    if (kind === "again" && at > 0) yield events[place % at];
    if (kind === "snapshot") {
      // A snapshot does not contain the end of an answer or the calls that it waits for. They follow the snapshot.
      at = place % (last + 1);
      if (events[at - 1]?.__typename === "ToolResultsRequired") at -= 1;
      yield snapshot(at);
    }
    if (kind === "next" && at < events.length) yield events[at++];
  }
  while (at < events.length) yield events[at++];
}

/** Return the parts of a message without the fields that only a stream has. */
function shownParts({ parts }) {
  return parts.map(({ type, text, state, toolName, toolCallId, input, output, errorText }) => ({
    type,
    text,
    state,
    toolName,
    toolCallId,
    input,
    output,
    errorText,
  }));
}

async function readBy(sdkChunks) {
  const errors = [];
  const stream = new ReadableStream({
    start(controller) {
      for (const chunk of sdkChunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  let message = { id: "m", role: "assistant", parts: [] };
  for await (const further of readUIMessageStream({ message, stream, onError: (error) => errors.push(error) }))
    message = further;
  assert.deepEqual(errors, []);
  return message;
}

async function sdkDifferences() {
  const { chunks, shownAfter } = await built("ai-sdk", "chunks");
  await fc.assert(
    fc.asyncProperty(answers, deliveries, async (answer, delivery) => {
      const log = logOf(answer);
      let [state, shown] = [initial, initial];
      const out = [];
      for (const event of delivered(log, delivery)) {
        state = apply(state, event);
        out.push(...chunks(shown, state));
        shown = shownAfter(shown, state);
      }
      const final = log.states.at(-1);
      const said = (kind) =>
        out
          .filter((chunk) => chunk.type === `${kind}-delta`)
          .map((chunk) => chunk.delta)
          .join("");
      assert.equal(said("text"), text(final));
      assert.equal(
        said("reasoning"),
        final.blocks
          .filter((block) => block?.__typename === "ThinkingBlock")
          .map((block) => block.text)
          .join(""),
      );
      // The streamed message equals the message that is read later.
      assert.deepEqual(shownParts(await readBy(out)), shownParts(await readBy(chunks(initial, final))));
      const announced = out.filter((chunk) => chunk.type === "tool-input-available");
      assert.equal(new Set(announced.map((chunk) => chunk.toolCallId)).size, announced.length);
      // The client runs only the calls that the server has asked it to run.
      const waited = log.events
        .flatMap((event) => event.toolUses ?? [])
        .filter((call) => call.name === "tool_client")
        .map((call) => call.toolUseId);
      const clients = announced.filter((chunk) => !chunk.providerExecuted).map((chunk) => chunk.toolCallId);
      assert.ok(clients.every((id) => waited.includes(id)));
    }),
    { numRuns: 300 },
  );
}

await sdkDifferences();
console.log(JSON.stringify(await documents(process.argv[2])));
