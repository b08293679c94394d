// A conversation with the npm client graphql-ws: send, stream, a second turn, a stop. Argument: the endpoint's address.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const client = createClient({ url: process.argv[2].replace("http", "ws"), webSocketImpl: WebSocket, lazy: true });
const SEND = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on SendMessagePayload { conversation { id } generation { id } } ... on Error { message } } }`;
const STOP = `mutation ($id: ID!) { stopGeneration(id: $id) {
  ... on GenerationPayload { generation { status message { text } } } } }`;
const FOLLOW = `subscription ($id: ID!) { generationEvents(generationId: $id) { __typename sequence
  ... on MessageSnapshot { message { text } } ... on TextDelta { offset text }
  ... on GenerationCompleted { generation { stopReason } } } }`;

async function once(query, variables) {
  for await (const { data, errors } of client.iterate({ query, variables })) {
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }
}

async function turn(text, conversationId, stopAfter) {
  const { sendMessage: sent } = await once(SEND, { input: { text, conversationId } });
  let answer = "";
  const events = [];
  let stopped = null;
  for await (const { data } of client.iterate({ query: FOLLOW, variables: { id: sent.generation.id } })) {
    const event = data.generationEvents;
    events.push(`${event.sequence} ${event.__typename}`);
    if (event.__typename === "MessageSnapshot") answer = event.message.text;
    if (event.__typename === "TextDelta") answer = answer.slice(0, event.offset) + event.text;
    if (stopAfter && answer.includes(stopAfter) && !stopped) {
      stopped = (await once(STOP, { id: sent.generation.id })).stopGeneration.generation;
    }
  }
  return { said: text, conversation: sent.conversation.id, answer, stopped, first: events[0], last: events.at(-1) };
}

const first = await turn("Hello, my name is Ada", null);
const second = await turn("What is my name?", first.conversation);
const third = await turn("/simulate long 400", first.conversation, "word5 ");
console.log(JSON.stringify([first, second, third], null, 1));
await client.dispose();
