// The stock client of AG-UI at `/ag-ui`, and the agent of examples/ag-ui. Arguments: the server's address, and an image in base64. Validates each event with
// AG-UI's schemas, and prints what the client received as JSON. Its verifier ends the program at the first wrong order.
import { HttpAgent, randomUUID } from "@ag-ui/client";
import { EventSchemas } from "@ag-ui/core/schemas";
import { built } from "./adapter_build.mjs";

const [address, image] = process.argv.slice(2);
const STORED = `query ($id: String!) { conversation(externalId: $id) { systemPrompt
  messages(last: 100) { edges { node { text context siblings { id } content { __typename }
    generation { id status usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens } } } } } } }`;
const tools = [{ name: "ask_browser", description: "Asks the browser.", parameters: { type: "object", properties: {} } }];
const { TertuliaAgent } = await built("ag-ui", "agent");
const seen = { warnings: [] };
for (const kind of ["warn", "error"]) console[kind] = (...words) => seen.warnings.push(words.map(String).join(" "));

async function conversation(id) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ query: STORED, variables: { id } });
  const response = await fetch(`${address}/graphql`, { method: "POST", headers, body });
  return (await response.json()).data.conversation;
}

/** Return an agent whose every event was validated, with helpers for what a user does. */
function begin({ Agent = HttpAgent, request = fetch, ...config } = {}) {
  const checked = async (url, init) => {
    const response = await request(url, init);
    if (!response.body) return response;
    const [own, theirs] = response.body.tee();
    agent.checks.push(check(own).catch(() => {}));
    return new Response(theirs, response);
  };
  const check = async (body) => {
    let rest = "";
    for await (const piece of body.pipeThrough(new TextDecoderStream())) {
      const frames = (rest + piece).split("\n\n");
      rest = frames.pop();
      for (const data of frames.flatMap((frame) => /^data: (.*)$/m.exec(frame)?.[1] ?? [])) {
        const valid = EventSchemas.safeParse(JSON.parse(data));
        if (!valid.success) seen.warnings.push(`${data}: ${valid.error.message}`);
      }
    }
  };
  const url = Agent === HttpAgent ? `${address}/ag-ui` : address;
  const agent = new Agent({ url, fetch: checked, ...config });
  const say = (content) => agent.addMessage({ id: randomUUID(), role: "user", content });
  /** Run the agent. Returns the kinds of its events without repetitions, and its first and last event. */
  const hold = async (parameters, subscriber = {}) => {
    const events = [];
    await agent.runAgent(parameters, { ...subscriber, onEvent: ({ event }) => void events.push(event) });
    const kinds = events.map((event) => event.type).filter((kind, place, all) => kind !== all[place - 1]);
    return { kinds, events, first: events[0], last: events.at(-1) };
  };
  const stored = async () => (await conversation(agent.threadId)).messages.edges.map((edge) => edge.node);
  return Object.assign(agent, { say, hold, stored, checks: [], final: () => agent.messages.at(-1) });
}

const sum = (usage) => Object.entries(usage).reduce((total, [, count]) => total + count, 0);
const called = ({ id, function: { name, arguments: input } }) => ({ id, name, input: JSON.parse(input) });
const plain = (messages) =>
  messages.map(({ id, role, content, toolCalls }) => ({ id, role, content, toolCalls: toolCalls?.map(called) }));
/** Whether another agent that knows only the thread's id receives the same messages. */
async function restores(agent) {
  const other = begin({ threadId: agent.threadId });
  const { last } = await other.hold();
  const own = agent.messages.filter((one) => one.role !== "system");
  const [mine, theirs] = [own, other.messages].map((all) => plain(all).map((one) => JSON.stringify(one)).sort());
  return JSON.stringify(mine) === JSON.stringify(theirs) ? last.type : { mine, theirs };
}

const scenes = {
  async turns() {
    const agent = begin({ initialMessages: [{ id: "s", role: "system", content: "Be kind." }] });
    agent.say("Hello, my name is Ada");
    const { kinds } = await agent.hold({ context: [{ description: "The page", value: "a test" }] });
    agent.say("What is my name?");
    const { last } = await agent.hold({ context: [{ description: "The page", value: "still a test" }] });
    const { systemPrompt, messages } = await conversation(agent.threadId);
    const context = messages.edges[2].node.context;
    const cost = last.metadata.tertulia.costUsd;
    return { kinds, outcome: last.outcome, answer: agent.final().content, systemPrompt, context, cost };
  },
  async thinking() {
    const agent = begin();
    agent.say("/simulate thinking");
    const { kinds } = await agent.hold();
    return { kinds, roles: agent.messages.map((one) => one.role), restored: await restores(agent) };
  },
  async server() {
    const agent = begin();
    agent.say('/simulate call weather {"place": {"city": "Cadiz"}}');
    const { kinds } = await agent.hold();
    return { kinds, messages: plain(agent.messages.slice(1)), restored: await restores(agent) };
  },
  async own() {
    const agent = begin();
    agent.say("/simulate call ask_browser {}");
    const asked = await agent.hold({ tools });
    const [call] = agent.final().toolCalls;
    agent.addMessage({ id: randomUUID(), role: "tool", toolCallId: call.id, content: "Firefox" });
    const answered = await agent.hold({ tools });
    const [, answer] = await agent.stored();
    const used = [asked, answered].reduce((total, run) => total + run.last.usage[0].totalTokens, 0);
    return {
      pending: asked.last.outcome.pendingToolCallIds.length,
      kinds: answered.kinds,
      roles: agent.messages.map((one) => one.role),
      answer: agent.final().content,
      used,
      billed: sum(answer.generation.usage),
    };
  },
  // An approval, a denial and a result of a client tool, requested at the same time and given in two runs.
  async mixed() {
    const agent = begin();
    agent.say('/simulate call pay {"amount": 4}\n/simulate call pay {"amount": 5}\n/simulate call ask_browser {}');
    const waited = await agent.hold({ tools });
    const other = begin({ threadId: agent.threadId });
    await other.hold({ tools });
    const [yes, no] = agent.pendingInterrupts;
    const resume = [
      { interruptId: yes.id, status: "resolved", payload: { approved: true } },
      { interruptId: no.id, status: "cancelled" },
    ];
    const partly = await agent.hold({ tools, resume });
    const [left] = partly.last.outcome.pendingToolCallIds;
    agent.addMessage({ id: randomUUID(), role: "tool", toolCallId: left, content: "Firefox" });
    const done = await agent.hold({ tools });
    return {
      outcomes: [waited, partly, done].map((run) => run.last.outcome.type),
      restored: other.pendingInterrupts.map((one) => one.id).join() === `${yes.id},${no.id}`,
      message: yes.message,
      results: agent.messages.filter((one) => one.role === "tool").map((one) => one.content),
      answer: agent.final().content,
    };
  },
  async stopped() {
    const agent = begin({ Agent: TertuliaAgent });
    // This answer never ends by itself.
    agent.say("/simulate hang");
    const { last } = await agent.hold({}, { onTextMessageContentEvent: () => agent.abortRun() });
    const [, answer] = await agent.stored();
    const same = agent.final().content === answer.text;
    return { outcome: last.outcome, stored: answer.generation.status, same };
  },
  // The example's agent continues after the last event each time that its connection is lost.
  async cut() {
    let requests = 0;
    const request = async (...parameters) => {
      const response = await fetch(...parameters);
      // More each time, so that an event of any length arrives at last.
      let left = 500 + 100 * requests++;
      const transform = (piece, controller) => {
        controller.enqueue(piece.subarray(0, left));
        left -= piece.length;
        if (left < 0) controller.error(new TypeError("network lost"));
      };
      return response.body ? new Response(response.body.pipeThrough(new TransformStream({ transform })), response) : response;
    };
    const agent = begin({ Agent: TertuliaAgent, request });
    agent.say("/simulate thinking\n/simulate long 100");
    const { kinds } = await agent.hold();
    const [, answer] = await agent.stored();
    return { kinds, requests, same: agent.final().content === answer.text, restored: await restores(agent) };
  },
  async connected() {
    const agent = begin({ Agent: TertuliaAgent });
    agent.say("Hello, my name is Ada");
    await agent.hold();
    const copy = agent.clone();
    copy.setMessages([]);
    await copy.connectAgent();
    return plain(copy.messages).map(({ role }) => role);
  },
  // Disconnecting does not stop the answer. The same run, and a run of a client that has only the thread's id, follow it.
  async left() {
    const agent = begin();
    agent.say("/simulate long 200");
    const runId = randomUUID();
    await agent.hold({ runId }, { onTextMessageContentEvent: () => void agent.detachActiveRun() });
    const partial = agent.final().content;
    const other = begin({ threadId: agent.threadId });
    await Promise.all([agent.hold({ runId }), other.hold()]);
    const [, answer, ...more] = await agent.stored();
    const texts = [agent, other].map((one) => one.final().content === answer.text);
    const roles = agent.messages.map((one) => one.role);
    return { partial, text: answer.text, texts, roles, status: answer.generation.status, more };
  },
  // The response was lost before the client received anything. The same run sends nothing again. Another run with the same
  // last message writes another version of its answer.
  async unheard() {
    const agent = begin();
    agent.say("Hello, my name is Ada");
    const runId = randomUUID();
    const whole = agent.fetch;
    agent.fetch = async (...request) => {
      agent.fetch = whole;
      await (await whole(...request)).body.cancel();
      throw new TypeError("fetch failed");
    };
    const failed = new Promise((resolve) => agent.subscribe({ onRunFailed: ({ error }) => resolve(error.message) }));
    await agent.hold({ runId }).catch(() => {});
    await agent.hold({ runId });
    const counts = async () => (await agent.stored()).map((one) => one.siblings.length);
    const before = await counts();
    agent.setMessages(agent.messages.slice(0, -1));
    await agent.hold();
    return { failed: await failed, before, after: await counts() };
  },
  async broken() {
    const agent = begin();
    agent.say("/simulate error 1 reject");
    const { last } = await agent.hold();
    return { type: last.type, code: last.code, message: last.message };
  },
  async declined() {
    const agent = begin();
    agent.say("/simulate refusal 3");
    const { events, last } = await agent.hold();
    return { custom: events.find((event) => event.type === "CUSTOM"), result: last.result, restored: await restores(agent) };
  },
  async continued() {
    const agent = begin();
    agent.say("/simulate break-at 120");
    const { events } = await agent.hold();
    const [, answer] = await agent.stored();
    const names = events.filter((event) => event.type === "CUSTOM").map((event) => event.name);
    return { names, same: agent.final().content === answer.text, restored: await restores(agent) };
  },
  async picture() {
    const agent = begin();
    agent.say([
      { type: "text", text: "What is this?" },
      { type: "image", source: { type: "data", mimeType: "image/png", value: image } },
    ]);
    await agent.hold();
    const [question] = await agent.stored();
    const other = begin({ threadId: agent.threadId });
    await other.hold();
    const { content } = other.messages[0];
    const { value } = content.find((part) => part.type === "image").source;
    const downloaded = await fetch(`${address}${value}`);
    return { blocks: question.content.map((block) => block.__typename), type: downloaded.headers.get("content-type") };
  },
  async nothing() {
    const agent = begin();
    return (await agent.hold()).kinds;
  },
};

await Promise.all(Object.entries(scenes).map(async ([name, play]) => (seen[name] = await play())));
console.log(JSON.stringify(seen, null, 1));
process.exit(0);
