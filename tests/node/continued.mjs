// Follows answers that are interrupted and continued, with the clients of other projects. Argument: the server's address.
// Prints for each client the texts that it showed, one after another, and its last state.
import { randomUUID } from "@ag-ui/client";
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { apply, initial, text } from "@tertulia/stream";
import { Client, fetchExchange } from "@urql/core";
import { createClient as createSse } from "graphql-sse";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { built } from "./adapter_build.mjs";

globalThis.WebSocket ??= WebSocket;

const [address] = process.argv.slice(2);
const url = `${address}/graphql`;
const SEND = `mutation ($text: String!) { sendMessage(input: { text: $text }) {
  ... on SendMessagePayload { generation { id } } } }`;
const BLOCK = `__typename index ... on TextBlock { text } ... on ThinkingBlock { text }
  ... on ToolUseBlock { name input partialJson }`;
const FOLLOW = `subscription ($id: ID!) { generationEvents(generationId: $id) { __typename sequence
  ... on MessageSnapshot { generation { status } message { content { ${BLOCK} } } }
  ... on ContentBlockStarted { index block { ${BLOCK} } }
  ... on ContentBlockFinished { index block { ${BLOCK} } }
  ... on TextDelta { index offset text }
  ... on ThinkingDelta { index offset text }
  ... on ToolInputDelta { index offset partialJson }
  ... on GenerationFailed { error { message } } } }`;

async function send(question) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ query: SEND, variables: { text: question } });
  const response = await fetch(url, { method: "POST", headers, body });
  return (await response.json()).data.sendMessage.generation.id;
}

/** Record the texts that a client shows, without repetitions. */
function shower() {
  const texts = [];
  const show = (shown) => shown !== (texts.at(-1) ?? "") && texts.push(shown);
  return { texts, show };
}

/** Return a follower of an answer with a subscription function of a GraphQL client. */
const folded = (subscribe) => async (question) => {
  const { texts, show } = shower();
  let state = initial;
  const id = await send(question);
  await new Promise((resolve, reject) => {
    const take = (event) => {
      state = apply(state, event);
      show(text(state));
      if (state.status === "COMPLETED" || state.status === "FAILED") resolve();
    };
    subscribe({ query: FOLLOW, variables: { id } }, take, reject);
  });
  return { texts, status: state.status, error: state.error, kinds: state.blocks.map((block) => block.__typename) };
};

const socket = createClient({ url: url.replace("http", "ws"), webSocketImpl: WebSocket });
const sse = createSse({ url, retryAttempts: 0 });
const apollo = new ApolloClient({ link: new HttpLink({ uri: url }), cache: new InMemoryCache() });
const urql = new Client({ url, exchanges: [fetchExchange], fetchSubscriptions: true, preferGetMethod: false });

const byClient = (client) =>
  folded((request, take, fail) =>
    client.subscribe(request, {
      next: ({ data, errors }) => (errors ? fail(errors) : take(data.generationEvents)),
      error: fail,
      complete() {},
    }),
  );

const byApollo = folded(({ query, variables }, take, fail) =>
  apollo.subscribe({ query: gql(query), variables, fetchPolicy: "no-cache" }).subscribe({
    next: ({ data, error }) => (error ? fail(error) : take(data.generationEvents)),
    error: fail,
  }),
);

const byUrql = folded(({ query, variables }, take, fail) =>
  urql
    .subscription(query, variables)
    .subscribe(({ data, error }) => (error ? fail(error) : take(data.generationEvents))),
);

async function byAiSdk(question) {
  const { openChat } = await built("ai-sdk", "tertulia");
  const { texts, show } = shower();
  const said = (message) => message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  const { chat } = await openChat({ url: address, id: randomUUID() });
  chat["~registerMessagesCallback"](() => chat.lastMessage?.role === "assistant" && show(said(chat.lastMessage)));
  await chat.sendMessage({ text: question });
  const parts = chat.lastMessage.parts.filter((part) => part.type !== "step-start");
  return {
    texts,
    status: chat.lastMessage.metadata.status,
    error: chat.error?.message ?? null,
    kinds: parts.map((part) => `${part.type} ${part.state}`),
  };
}

async function byAgUi(question) {
  const { TertuliaAgent } = await built("ag-ui", "agent");
  const { texts, show } = shower();
  const agent = new TertuliaAgent({ url: address });
  agent.addMessage({ id: randomUUID(), role: "user", content: question });
  let last;
  const said = (messages) => messages.map((one) => (one.role === "assistant" ? one.content ?? "" : "")).join("");
  await agent.runAgent({}, {
    onMessagesChanged: ({ messages }) => show(said(messages)),
    onEvent: ({ event }) => void (last = event),
  });
  return {
    texts,
    status: last.type,
    error: last.message ?? null,
    kinds: agent.messages.slice(1).map((one) => one.role),
  };
}

const CLIENTS = {
  "graphql-ws": byClient(socket),
  "graphql-sse": byClient(sse),
  apollo: byApollo,
  urql: byUrql,
  "ai-sdk": byAiSdk,
  "ag-ui": byAgUi,
};
const found = {};
// One after another: the scripted Claude answers requests in the order in which they arrive.
for (const [name, follow] of Object.entries(CLIENTS)) {
  found[name] = { text: await follow("Write"), call: await follow("Call") };
}
console.log(JSON.stringify(found, null, 1));
process.exit(0);
