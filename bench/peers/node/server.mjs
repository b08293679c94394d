// The Node peer: graphql-ws on ws, and Anthropic's SDK for TypeScript. One event per token, nothing stored.
// It follows both documentations: `useServer` on a WebSocketServer without compression (ws's default), an async generator
// as `subscribe`, `stream: true` (the SDK's cheaper form), NODE_ENV=production.
// Usage: ANTHROPIC_BASE_URL=... node server.mjs PORT
import Anthropic from "@anthropic-ai/sdk";
import { buildSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const MODEL = "claude-opus-5-5";
const schema = buildSchema(`
  interface GenerationEvent { sequence: Int! }
  type SnapshotMessage { text: String! }
  type MessageSnapshot implements GenerationEvent { sequence: Int! message: SnapshotMessage! }
  type ContentBlockStarted implements GenerationEvent { sequence: Int! index: Int! }
  type TextDelta implements GenerationEvent { sequence: Int! index: Int! offset: Int! text: String! }
  type ContentBlockFinished implements GenerationEvent { sequence: Int! index: Int! }
  type Usage { inputTokens: Int! outputTokens: Int! }
  type Generation { status: String! stopReason: String usage: Usage }
  type GenerationCompleted implements GenerationEvent { sequence: Int! generation: Generation! }
  type GenerationError { code: String! message: String! }
  type GenerationFailed implements GenerationEvent { sequence: Int! error: GenerationError! }
  type Query { ready: Boolean! }
  type Subscription { answer(text: String!): GenerationEvent! }
`);
const client = new Anthropic({ apiKey: "sk-ant-bench", baseURL: process.env.ANTHROPIC_BASE_URL });

async function* answer(_root, { text }) {
  const events = await client.messages.create({
    model: MODEL, max_tokens: 32_000, stream: true, messages: [{ role: "user", content: text }],
  });
  let sequence = 0;
  let offset = 0;
  const usage = { inputTokens: 0, outputTokens: 0 };
  let stopReason = null;
  const show = (__typename, fields) => ({ answer: { __typename, sequence: (sequence += 1), ...fields } });
  for await (const event of events) {
    switch (event.type) {
      case "message_start":
        usage.inputTokens = event.message.usage.input_tokens;
        break;
      case "content_block_start":
        yield show("ContentBlockStarted", { index: event.index });
        break;
      case "content_block_delta":
        if (event.delta.type !== "text_delta") break;
        yield show("TextDelta", { index: event.index, offset, text: event.delta.text });
        offset += event.delta.text.length;
        break;
      case "content_block_stop":
        yield show("ContentBlockFinished", { index: event.index });
        break;
      case "message_delta":
        usage.outputTokens = event.usage.output_tokens;
        stopReason = event.delta.stop_reason;
        break;
    }
  }
  yield show("GenerationCompleted", { generation: { status: "COMPLETED", stopReason, usage } });
}

schema.getSubscriptionType().getFields().answer.subscribe = answer;
const port = Number(process.argv[2]);
useServer({ schema }, new WebSocketServer({ host: "127.0.0.1", port, path: "/graphql", backlog: 2048 }));
