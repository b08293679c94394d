/**
 * A ChatTransport of the AI SDK whose answers are Tertulia's: they outlive the page, the connection and the server.
 *
 * To copy: this file, chunks.ts and tertulia.ts.
 */

import { apply, ended, initial, type Block, type State, type StreamEvent } from "@tertulia/stream";
import { isToolUIPart, readUIMessageStream, type ChatTransport, type FinishReason } from "ai";
import { behind, chunks, type Chunk, type TertuliaMessage } from "./chunks";
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
  /** The server's address; the page's own origin unless given. */
  url?: string;
  /** Such as Authorization; asked for before each request and each connection. */
  headers?: () => Record<string, string>;
  /** The conversation to go on with; the first message makes one where there is none. */
  conversationId?: string | undefined;
  /** Called with the id of a conversation that was made: keep it where a refresh finds it. */
  onConversation?: (id: string) => void;
  /** Tools that this page runs: answer their calls with `addToolOutput`. */
  tools?: ClientTool[];
}

/** What was shown of an answer, and what it waits for. */
interface Shown {
  answer: Answer;
  state: State;
}

export class TertuliaTransport implements ChatTransport<TertuliaMessage> {
  /** A stream that is resumed begins with all that is written. */
  readonly resumeStreamIsReplay = true;
  private readonly server: Tertulia;
  private conversationId: string | undefined;
  /** Tertulia's ids of the messages that useChat gave an id of its own. */
  private readonly ids = new Map<string, string>();
  /** The answers to the user's messages, by useChat's ids. */
  private readonly answers = new Map<string, string>();
  /** One key for each thing that is sent, so that sending it again is no second message. */
  private readonly keys = new Map<string, string>();
  private waiting: Shown | undefined;
  /** What the history showed as unfinished; it may have ended before it is followed, and is followed all the same. */
  private unfinished: Answer | null = null;
  private stopping: Promise<unknown> | undefined;
  private current: object = {};

  constructor(private readonly options: TertuliaOptions = {}) {
    this.server = new Tertulia(options.url, options.headers);
    this.conversationId = options.conversationId;
  }

  /** The conversation so far, for `messages` of useChat: the last hundred, what is being written included. */
  async history(): Promise<TertuliaMessage[]> {
    await this.stopped();
    if (!this.conversationId) return [];
    const found = await this.server.ask<{ conversation: Conversation | null }>(documents.history, {
      id: this.conversationId,
    });
    if (!found.conversation) throw new Error("This conversation is not here any more.");
    this.unfinished = found.conversation.activeGeneration;
    const nodes = found.conversation.messages.edges.map((edge) => edge.node);
    for (const [place, { id, role }] of nodes.entries()) {
      const answer = nodes[place + 1];
      if (role !== "USER") continue;
      this.ids.set(id, id);
      if (answer) this.answers.set(id, answer.id);
    }
    return Promise.all(nodes.map(message));
  }

  /** Send, edit, ask again, or hand in what the answer waits for: what it is, the messages say. */
  async sendMessages({ trigger, messageId, messages, abortSignal }: SendOptions): Promise<ReadableStream<Chunk>> {
    // One answer at a time: what is being stopped has ended then.
    await this.stopped();
    const last = messages.find((one) => one.id === messageId) ?? messages.at(-1);
    if (!last) throw new Error("There is nothing to send.");
    if (last.role === "assistant") return this.goOn(last, abortSignal);
    this.waiting = undefined;
    this.unfinished = null;
    const { conversation, userMessage, generation } = await this.send(last, trigger);
    this.ids.set(last.id, userMessage.id);
    this.answers.set(last.id, generation.message.id);
    if (!this.conversationId) this.options.onConversation?.((this.conversationId = conversation.id));
    return this.stream({ answer: generation, state: initial }, abortSignal);
  }

  /** Go on with the answer that is being written, in this tab or another; null where there is none. */
  async reconnectToStream({ abortSignal }: ReconnectOptions): Promise<ReadableStream<Chunk> | null> {
    const mine = (this.current = {});
    const answer = this.unfinished ?? (await this.active());
    if (!answer || this.current !== mine) return null;
    return this.stream({ answer, state: initial }, abortSignal);
  }

  /** For `sendAutomaticallyWhen`: whether all that the answer waits for is there. */
  readonly isAnswered = ({ messages }: { messages: TertuliaMessage[] }): boolean => {
    const last = messages.at(-1);
    return Boolean(this.waiting && last && results(this.waiting.state.waits, last));
  };

  /** Wait until what is being stopped has ended; say once that it could not be stopped. */
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

  /** Hand in what was waited for; the same answer goes on. */
  private async goOn(last: TertuliaMessage, abortSignal: AbortSignal | undefined): Promise<ReadableStream<Chunk>> {
    const shown = this.waiting;
    const given = shown && results(shown.state.waits, last);
    if (!given) throw new Error("There is nothing to hand in.");
    await this.server.change(documents.submit, { input: { generationId: shown.answer.id, results: given } });
    this.waiting = undefined;
    return this.stream(shown, abortSignal);
  }

  private stream(shown: Shown, abortSignal: AbortSignal | undefined): ReadableStream<Chunk> {
    const mine = (this.current = {});
    const leaving = new AbortController();
    const followed = this.follow(shown, leaving.signal);
    const stop = () => {
      leaving.abort();
      // A second resume aborts the first one, and asks for a stream at once: that is no wish to stop.
      queueMicrotask(() => {
        if (this.current === mine) this.stopping = this.server.change(documents.stop, { id: shown.answer.id });
      });
    };
    if (abortSignal?.aborted) stop();
    abortSignal?.addEventListener("abort", stop, { once: true });
    return new ReadableStream<Chunk>({
      async pull(controller) {
        const { done, value } = await followed.next();
        if (!done) return controller.enqueue(value);
        abortSignal?.removeEventListener("abort", stop);
        controller.close();
      },
      // Who only leaves stops nothing.
      cancel: () => leaving.abort(),
    });
  }

  private async *follow({ answer, state: begun }: Shown, leaving: AbortSignal): AsyncGenerator<Chunk, void> {
    let [state, shown] = [initial, begun];
    yield { type: "start", messageId: answer.message.id };
    for await (const event of this.server.follow(answer.id, leaving)) {
      state = apply(state, event);
      yield* chunks(shown, state);
      const isNews = state.sequence > shown.sequence;
      shown = behind(shown, state);
      if (ended(state) || (isNews && state.waits)) this.unfinished = null;
      if (isNews && state.waits) {
        this.waiting = { answer, state: shown };
        return yield { type: "finish", finishReason: "tool-calls" };
      }
      if (ended(state)) return yield* end(event);
    }
  }
}

/** The AI SDK's words for Claude's reasons to stop. */
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

/** What the message's parts say of the calls that are waited for; null where one of them has no answer yet. */
function results(waits: StreamEvent | null, message: TertuliaMessage): object[] | null {
  const given = (waits?.toolUses ?? []).map(({ toolUseId }) => {
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
  return given.length && given.every((one) => one !== null) ? given : null;
}

/** A stored message; an answer's parts are made in the way that a stream makes them. */
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

/** What the user wrote, and the files that came with it. */
function written(block: Block): TertuliaMessage["parts"] {
  if (block.__typename === "TextBlock") return [{ type: "text", text: block.text ?? "" }];
  const file = block.attachment as { url: string; mediaType: string; filename: string } | undefined;
  return file ? [{ type: "file", ...file }] : [];
}
