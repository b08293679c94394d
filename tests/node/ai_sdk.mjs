// A client of the AI SDK that uses Tertulia as the example does. Argument: the server's address. Prints what the client
// received as JSON.
import { randomUUID } from "node:crypto";
import { connect, createServer } from "node:net";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { built } from "./adapter_build.mjs";

globalThis.WebSocket ??= WebSocket;

const STORED = `query ($id: ID!) { conversation(id: $id) {
  messages(last: 100) { edges { node { id role text siblings { id } content { __typename }
    generation { id status usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens } } } } } } }`;
const ALL = `query { conversations(first: 100) { edges { node { id } } } }`;
const CHAT = `query ($externalId: String!) { conversation(externalId: $externalId) { id } }`;
const FOLLOW = "subscription ($id: ID!) { generationEvents(generationId: $id) { __typename } }";

function observer(address) {
  const ask = async (query, variables) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${address}/graphql`, {
      method: "POST",
      headers,
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()).data;
  };
  return {
    async messages(id) {
      return (await ask(STORED, { id })).conversation.messages.edges.map((edge) => edge.node);
    },
    /** Return the id of the conversation of a chat. */
    chat: async (externalId) => (await ask(CHAT, { externalId })).conversation.id,
    count: async () => (await ask(ALL, {})).conversations.edges.length,
    /** Wait until an answer has ended. */
    async end(id) {
      const client = createClient({ url: `${address}/graphql`.replace("http", "ws") });
      for await (const _ of client.iterate({ query: FOLLOW, variables: { id } }));
      await client.dispose();
    },
  };
}

/** Wait until `check`, which runs after each change, returns a truthy value. */
function until(subscribe, check) {
  return new Promise((resolve) => {
    const look = () => {
      const found = check();
      if (found) resolve(found);
      return found;
    };
    if (!look()) subscribe(look);
  });
}

/** A proxy before a server. `cut` closes its connections, so that clients must connect again. */
async function proxy(address) {
  const open = new Set();
  const server = createServer((near) => {
    const far = connect(Number(new URL(address).port), "127.0.0.1");
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      open.add(socket);
      socket.on("error", () => {}).on("close", () => (open.delete(socket), other.destroy()));
      socket.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => open.forEach((socket) => socket.destroy());
  return { address: `http://127.0.0.1:${server.address().port}`, cut };
}

/** Let the server receive the next request, but lose its response. */
function loseNextAnswer() {
  const whole = globalThis.fetch;
  globalThis.fetch = async (...request) => {
    globalThis.fetch = whole;
    await whole(...request);
    throw new TypeError("fetch failed");
  };
}

const said = (message) =>
  message.parts
    .filter((part) => part.type === "text")
    .map((part) => part.text)
    .join("");

async function chat(address) {
  const { openChat } = await built("ai-sdk", "tertulia");
  const server = observer(address);
  const seen = {};
  const begin = async (options = {}) => {
    const tools = [{ name: "read_page", description: "Reads the page.", inputSchema: { type: "object" } }];
    const id = options.id ?? randomUUID();
    const { chat: talk } = await openChat({ url: address, tools, ...options, id });
    const heard = (check) =>
      until(
        (look) => {
          talk["~registerMessagesCallback"](look);
          talk["~registerStatusCallback"](look);
        },
        () => check(talk.lastMessage),
      );
    return Object.assign(talk, { heard, stored: async () => server.messages(await server.chat(id)) });
  };
  /** Send a message, wait until its answer has begun, and disconnect. */
  const leave = async (text, options) => {
    const talk = await begin(options);
    const sending = talk.sendMessage({ text });
    await talk.heard((message) => message?.role === "assistant" && said(message));
    await talk.stop();
    await sending;
    return talk;
  };
  const waits = (message) => message?.parts.some((part) => part.state === "approval-requested");

  const edited = await begin();
  await edited.sendMessage({ text: "Hello, my name is Ada" });
  await edited.sendMessage({ text: "Hello, my name is Bob", messageId: edited.messages[0].id });
  await edited.sendMessage({ text: "What is my name?" });
  const versions = await edited.stored();
  seen.edited = {
    shown: edited.messages.map(said),
    stored: versions.map((one) => one.text),
    versions: versions[0].siblings.length,
  };

  // The server received the first send, but its response was lost. The repetition must not become a second message.
  const unheard = await begin();
  loseNextAnswer();
  await unheard.sendMessage({ text: "Hello, my name is Ada" });
  const failed = unheard.error?.message;
  await unheard.regenerate();
  seen.unheard = {
    failed,
    status: unheard.status,
    conversations: await server.count(),
    stored: (await unheard.stored()).length,
  };

  // The next message replaces an answer that continues after the client has disconnected.
  const stopped = await leave("/simulate hang");
  await stopped.sendMessage({ text: "Hello, my name is Ada" });
  seen.stopped = {
    error: stopped.error?.message,
    stored: (await stopped.stored()).map((one) => one.generation?.status),
  };

  // Disconnecting does not stop the answer. Two resumptions at the same time show the whole text once.
  const left = await leave("/simulate long 200");
  const back = await begin({ id: left.id });
  await Promise.all([back.resumeStream(), back.resumeStream()]);
  await back.resumeStream();
  const [, whole] = await back.stored();
  seen.left = {
    status: whole.generation.status,
    same: said(back.lastMessage) === whole.text,
    words: whole.text.split(" ").length,
    messages: back.messages.length,
  };

  const network = await proxy(address);
  const cut = await begin({ url: network.address });
  const telling = cut.sendMessage({ text: "/simulate long 300" });
  await cut.heard((message) => message?.role === "assistant" && said(message).includes("word20 "));
  network.cut();
  await telling;
  await cut.resumeStream();
  seen.cut = said(cut.lastMessage);

  // An answer that was unfinished in the history, and had ended before it was followed.
  const { id } = await leave("/simulate long 60");
  const later = await begin({ id });
  await server.end((await later.stored())[1].generation.id);
  await later.resumeStream();
  seen.late = { same: said(later.lastMessage) === (await later.stored())[1].text, status: later.status };

  // An approval and a result of the page's tool in one turn: they are submitted only when both are complete.
  const calls = [];
  const mixed = await begin({ onToolCall: ({ toolCall }) => void calls.push(toolCall.toolName) });
  await mixed.sendMessage({ text: '/simulate call pay {"amount": 3}\n/simulate call read_page {}' });
  const part = (name) => mixed.lastMessage.parts.find((one) => one.toolName === name);
  await mixed.addToolOutput({ tool: "read_page", toolCallId: part("read_page").toolCallId, output: { title: "Here" } });
  const between = { status: mixed.status, waits: waits(mixed.lastMessage) };
  await mixed.addToolApprovalResponse({ id: part("pay").approval.id, approved: true });
  await mixed.heard((message) => said(message).includes("Paid 3.") && mixed.status === "ready");
  seen.mixed = {
    calls,
    between,
    states: mixed.lastMessage.parts.filter((one) => one.toolName).map((one) => one.state),
    same: said(mixed.lastMessage) === (await mixed.stored())[1].text,
  };
  return seen;
}

const [address] = process.argv.slice(2);
console.log(JSON.stringify(await chat(address), null, 1));
process.exit(0);
