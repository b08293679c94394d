// Follows an answer with the stock graphql-ws client, and cuts its socket once after each number of events.
// The client subscribes again on its own, with the same variables. Usage: node cuts.mjs ADDRESS/graphql GENERATION_ID
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, generationId] = process.argv.slice(2);
const query = `subscription ($id: ID!, $after: Int) { generationEvents(generationId: $id, after: $after) {
  __typename sequence
  ... on MessageSnapshot { message { content { index ...Block } } }
  ... on ContentBlockStarted { index block { ...Block } }
  ... on ContentBlockFinished { index block { ...Block } }
  ... on TextDelta { index offset text }
  ... on ThinkingDelta { index offset text }
  ... on ToolInputDelta { index offset text: partialJson }
} }
fragment Block on ContentBlock { __typename
  ... on TextBlock { text } ... on ThinkingBlock { text } ... on ToolUseBlock { input partialJson } }`;

const textOf = (block) =>
  block.__typename === "ToolUseBlock" ? block.partialJson ?? JSON.stringify(block.input) : block.text;

async function follow(boundary, after) {
  const sockets = [];
  const client = createClient({
    url: url.replace(/^http/, "ws"),
    retryAttempts: 5,
    shouldRetry: () => true,
    retryWait: async () => {},
    webSocketImpl: class extends WebSocket {
      constructor(...args) { super(...args); sockets.push(this); }
    },
  });
  const state = { blocks: {}, last: "", terminals: 0, events: 0 };
  await new Promise((resolve, reject) =>
    client.subscribe({ query, variables: { id: generationId, after } }, {
      next: ({ data, errors }) => {
        if (errors) return reject(errors);
        const event = data.generationEvents;
        state.events += 1;
        state.last = event.__typename;
        if (/Completed|Stopped|Failed/.test(event.__typename)) state.terminals += 1;
        if (event.__typename === "MessageSnapshot") {
          state.blocks = Object.fromEntries(event.message.content.map((block) => [block.index, textOf(block)]));
        } else if (event.block) state.blocks[event.index] = textOf(event.block);
        else if (event.offset !== undefined) {
          state.blocks[event.index] = state.blocks[event.index].slice(0, event.offset) + event.text;
        }
        if (state.events === boundary) sockets.at(-1).terminate();
      },
      error: reject,
      complete: resolve,
    }));
  await client.dispose();
  return { ...state, sockets: sockets.length, blocks: Object.values(state.blocks) };
}

const whole = await follow(0, 0);
const cuts = [];
for (let boundary = 1; boundary < whole.events; boundary += 1) {
  cuts.push(await follow(boundary, 0), await follow(boundary, null));
}
console.log(JSON.stringify({ whole, cuts }));
