/**
 * A ChatTransport of the AI SDK that uses Tertulia.
 *
 * Its answers survive a refresh, a lost connection and a server restart.
 *
 * Copy this file, chunks.ts and tertulia.ts.
 */

import { apply, ended, initial, type Block, type State, type StreamEvent } from "@tertulia/stream";
import { isToolUIPart, readUIMessageStream, type ChatTransport, type FinishReason } from "ai";
import { shownAfter, chunks, type Chunk, type TertuliaMessage } from "./chunks";
import {
  documents,
  Tertulia,
  type Answer,
  type ClientTool,
  type Conversation,
  type Event,
  type Sent,
} from "./tertulia";

type SendOptions = Parameters<ChatTransport<TertuliaMessage>["sendMessages"]>[0];
type Stored = Conversation["messages"]["edges"][number]["node"];
type ReconnectOptions = Parameters<ChatTransport<TertuliaMessage>["reconnectToStream"]>[0];

export interface TertuliaOptions {
  /** The server's address; by default the page's origin. */
  url?: string;
  /** Returns headers such as `Authorization`. Called before each request and each connection. */
  headers?: () => Record<string, string>;
  /** The conversation to continue. Without it, the first message creates one. */
  conversationId?: string | undefined;
  /** Called with the id of a created conversation. Store it, so that a refreshed page can continue. */
  onConversation?: (id: string) => void;
  /** The tools that this page runs. Answer their calls with `addToolOutput`. */
  tools?: ClientTool[];
}

/** An answer, and its state after the chunks that were shown. */
interface Shown {
  answer: Answer;
  state: State;
}

export class TertuliaTransport implements ChatTransport<TertuliaMessage> {
  /** A resumed stream begins with the whole text so far. */
  readonly resumeStreamIsReplay = true;
  private readonly server: Tertulia;
  private conversationId: string | undefined;
  /** Tertulia's ids of messages, by useChat's ids. */
  private readonly ids = new Map<string, string>();
  /** The answers to the user's messages, by useChat's ids. */
  private readonly answers = new Map<string, string>();
  /** The idempotency key of each message, so that a repeated send does not become a second message. */
  private readonly keys = new Map<string, string>();
  private waiting: Shown | undefined;
  /** The answer that was unfinished in the history. It is followed even if it has ended in the meantime. */
  private unfinished: Answer | null = null;
  private stopping: Promise<unknown> | undefined;
  private current: object = {};

  constructor(private readonly options: TertuliaOptions = {}) {
    this.server = new Tertulia(options.url, options.headers);
    this.conversationId = options.conversationId;
  }

  /** Return the conversation for `messages` of useChat: its last hundred messages, including a running answer. */
  async history(): Promise<TertuliaMessage[]> {
    await this.stopped();
    if (!this.conversationId) return [];
    const found = await this.server.ask<{ conversation: Conversation | null }>(documents.history, {
      id: this.conversationId,
    });
    if (!found.conversation) throw new Error("This conversation no longer exists.");
    this.unfinished = found.conversation.activeGeneration;
    const nodes = found.conversation.messages.edges.map((edge) => edge.node);
    for (const [index, { id, role }] of nodes.entries()) {
      const answer = nodes[index + 1];
      if (role !== "USER") continue;
      this.ids.set(id, id);
      if (answer) this.answers.set(id, answer.id);
    }
    return Promise.all(nodes.map(message));
  }

  /** Send or edit a message, regenerate an answer, or submit results. The messages determine which. */
  async sendMessages({ trigger, messageId, messages, abortSignal }: SendOptions): Promise<ReadableStream<Chunk>> {
    // One answer at a time: wait until a stopped one has ended.
    await this.stopped();
    const last = messages.find((one) => one.id === messageId) ?? messages.at(-1);
    if (!last) throw new Error("There is no message to send.");
    if (last.role === "assistant") return this.submitResults(last, abortSignal);
    this.waiting = undefined;
    this.unfinished = null;
    const { conversation, userMessage, generation } = await this.send(last, trigger);
    this.ids.set(last.id, userMessage.id);
    this.answers.set(last.id, generation.message.id);
    if (!this.conversationId) this.options.onConversation?.((this.conversationId = conversation.id));
    return this.stream({ answer: generation, state: initial }, abortSignal);
  }

  /** Follow the running answer, which may have been started in another tab. Returns null if there is none. */
  async reconnectToStream({ abortSignal }: ReconnectOptions): Promise<ReadableStream<Chunk> | null> {
    const attempt = (this.current = {});
    const answer = this.unfinished ?? (await this.active());
    if (!answer || this.current !== attempt) return null;
    return this.stream({ answer, state: initial }, abortSignal);
  }

  /** For `sendAutomaticallyWhen`: whether everything that the answer waits for is available. */
  readonly isAnswered = ({ messages }: { messages: TertuliaMessage[] }): boolean => {
    const last = messages.at(-1);
    return Boolean(this.waiting && last && results(this.waiting.state.waits, last));
  };

  /** Wait until a stopped answer has ended. Throws, once, if it could not be stopped. */
  private async stopped(): Promise<void> {
    const stopping = this.stopping;
    this.stopping = undefined;
    await stopping;
  }

  private async active(): Promise<Answer | null> {
    if (!this.conversationId) return null;
    const found = await this.server.ask<{ conversation: Conversation | null }>(documents.active, {
      id: this.conversationId,
    });
    return found.conversation?.activeGeneration ?? null;
  }

  private async send(message: TertuliaMessage, trigger: SendOptions["trigger"]): Promise<Sent> {
    const answer = this.answers.get(message.id);
    if (trigger === "regenerate-message" && answer) {
      const input = { messageId: answer, idempotencyKey: crypto.randomUUID() };
      return this.server.change<Sent>(documents.regenerate, { input });
    }
    const text = message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
    const files = message.parts.filter((part) => part.type === "file");
    const attachmentIds = await Promise.all(files.map((file) => this.server.upload(file.url, file.filename ?? "file")));
    const input = { text, attachmentIds, idempotencyKey: this.key(`${message.id} ${text}`) };
    const known = this.ids.get(message.id);
    if (known) return this.server.change<Sent>(documents.edit, { input: { ...input, messageId: known } });
    const tools = this.options.tools && { client: this.options.tools };
    const place = this.conversationId ? { conversationId: this.conversationId } : { tools };
    return this.server.change<Sent>(documents.send, { input: { ...input, ...place } });
  }

  private key(sent: string): string {
    const key = this.keys.get(sent) ?? crypto.randomUUID();
    this.keys.set(sent, key);
    return key;
  }

  /** Submit the results that the answer waits for, and follow the same answer. */
  private async submitResults(last: TertuliaMessage, abortSignal: AbortSignal | undefined): Promise<ReadableStream<Chunk>> {
    const shown = this.waiting;
    const submitted = shown && results(shown.state.waits, last);
    if (!submitted) throw new Error("The answer does not wait for a result, or a result is missing.");
    await this.server.change(documents.submit, { input: { generationId: shown.answer.id, results: submitted } });
    this.waiting = undefined;
    return this.stream(shown, abortSignal);
  }

  private stream(shown: Shown, abortSignal: AbortSignal | undefined): ReadableStream<Chunk> {
    const attempt = (this.current = {});
    const leaving = new AbortController();
    const chunkStream = this.follow(shown, leaving.signal);
    const stop = () => {
      leaving.abort();
      // A second resume aborts the first one and requests a stream at once. That must not stop the answer.
      queueMicrotask(() => {
        if (this.current === attempt) this.stopping = this.server.change(documents.stop, { id: shown.answer.id });
      });
    };
    if (abortSignal?.aborted) stop();
    abortSignal?.addEventListener("abort", stop, { once: true });
    return new ReadableStream<Chunk>({
      async pull(controller) {
        const { done, value } = await chunkStream.next();
        if (!done) return controller.enqueue(value);
        abortSignal?.removeEventListener("abort", stop);
        controller.close();
      },
      // Closing the stream does not stop the answer.
      cancel: () => leaving.abort(),
    });
  }

  private async *follow({ answer, state: before }: Shown, leaving: AbortSignal): AsyncGenerator<Chunk, void> {
    let [state, shown] = [initial, before];
    yield { type: "start", messageId: answer.message.id };
    for await (const event of this.server.follow(answer.id, leaving)) {
      state = apply(state, event);
      yield* chunks(shown, state);
      const isNew = state.sequence > shown.sequence;
      shown = shownAfter(shown, state);
      if (ended(state) || (isNew && state.waits)) this.unfinished = null;
      if (isNew && state.waits) {
        this.waiting = { answer, state: shown };
        return yield { type: "finish", finishReason: "tool-calls" };
      }
      if (ended(state)) return yield* end(event);
    }
  }
}

/** The AI SDK's finish reasons, by Claude's stop reasons. */
const REASONS: Readonly<Record<string, FinishReason>> = {
  END_TURN: "stop",
  STOP_SEQUENCE: "stop",
  MAX_TOKENS: "length",
  MODEL_CONTEXT_WINDOW_EXCEEDED: "length",
  REFUSAL: "content-filter",
  TOOL_USE: "tool-calls",
};

function* end({ __typename, generation, error }: Event): Generator<Chunk, void> {
  const metadata = generation as TertuliaMessage["metadata"];
  if (metadata) yield { type: "message-metadata", messageMetadata: metadata };
  if (__typename === "GenerationFailed")
    return yield { type: "error", errorText: error?.message ?? "The answer failed." };
  const stopped = __typename === "GenerationStopped";
  yield { type: "finish", finishReason: stopped ? "interrupted" : (REASONS[generation?.stopReason ?? ""] ?? "other") };
}

/** Return the results of the calls that the answer waits for; null if one of them is missing. */
function results(waits: StreamEvent | null, message: TertuliaMessage): object[] | null {
  const all = (waits?.toolUses ?? []).map(({ toolUseId }) => {
    const part = message.parts.filter(isToolUIPart).find((one) => one.toolCallId === toolUseId);
    const asks = waits?.approvals?.some((call) => call.toolUseId === toolUseId);
    if (asks && part?.state === "approval-responded") {
      const { approved, reason } = part.approval;
      return { toolUseId, approved, ...(approved || !reason ? {} : { output: reason }) };
    }
    if (!asks && part?.state === "output-available") return { toolUseId, output: part.output };
    if (!asks && part?.state === "output-error") return { toolUseId, output: part.errorText, isError: true };
    return null;
  });
  return all.length && all.every((one) => one !== null) ? all : null;
}

/** Convert a stored message. The parts of an answer are created in the same way as from a stream. */
async function message({ id, role, content, generation }: Stored): Promise<TertuliaMessage> {
  if (role === "USER") return { id, role: "user", parts: content.flatMap(written) };
  const blocks: (Block | null)[] = [];
  for (const block of content) blocks[block.index ?? blocks.length] = block;
  const status = generation?.status ?? "COMPLETED";
  const state = { ...initial, blocks: Array.from(blocks, (block) => block ?? null), status, sequence: 1 };
  const stream = new ReadableStream<Chunk>({
    start(controller) {
      for (const chunk of chunks(initial, state)) controller.enqueue(chunk);
      controller.close();
    },
  });
  let shown: TertuliaMessage = { id, role: "assistant", parts: [] };
  for await (const further of readUIMessageStream<TertuliaMessage>({ message: shown, stream })) shown = further;
  return generation && ended(state) ? { ...shown, metadata: generation } : shown;
}

/** Convert a block of a user message: its text, or an attached file. */
function written(block: Block): TertuliaMessage["parts"] {
  if (block.__typename === "TextBlock") return [{ type: "text", text: block.text ?? "" }];
  const file = block.attachment as { url: string; mediaType: string; filename: string } | undefined;
  return file ? [{ type: "file", ...file }] : [];
}
