/**
 * An AG-UI agent whose answers are Tertulia's: they outlive the page, the connection and the server.
 *
 * To copy: this file, events.ts and tertulia.ts.
 */

import { AbstractAgent, randomUUID, type AgentConfig } from "@ag-ui/client";
import { contentToText, EventType, PROTOCOL_VERSION } from "@ag-ui/core";
import type { AGUIEvent, BaseEvent, Interrupt, RunAgentInput, TokenUsage, UserMessage } from "@ag-ui/core";
import { apply, ended, initial, type State, type StreamEvent } from "@tertulia/stream";
import { Observable } from "rxjs";
import { behind, events, messagesOf } from "./events";
import { documents, Tertulia, type Answer, type Conversation, type Event, type Generation } from "./tertulia";

/** Which conversation a thread is. */
export interface Conversations {
  get(threadId: string): string | undefined;
  set(threadId: string, conversationId: string): unknown;
}

export interface TertuliaAgentConfig extends AgentConfig {
  /** The server's address; the page's own origin unless given. */
  url?: string;
  /** Such as Authorization; asked for before each request and each connection. */
  headers?: () => Record<string, string>;
  /** A Map unless given: give a store where threads are to outlive the page. */
  conversations?: Conversations;
}

/** What was shown of an answer, and what it waits for. */
interface Shown {
  answer: Answer;
  state: State;
}

interface Thread {
  conversationId: string;
  /** The tools and the instructions that the conversation has, as JSON. */
  told: string;
  /** The answers to the user's messages, by AG-UI's ids. */
  answers: Map<string, string>;
  /** What was shown, and which calls the client has still to answer. */
  waiting?: (Shown & { waits: StreamEvent }) | undefined;
  /** What earlier runs of an answer have reported. */
  reported?: { id: string; usage: TokenUsage } | undefined;
}

interface Run {
  input: RunAgentInput;
  /** The client wants Claude to stop. */
  stopping: AbortSignal;
  /** Nobody listens any more; Claude goes on. */
  leaving: AbortSignal;
}

type Played = AsyncGenerator<AGUIEvent, void>;
/** An Observable of the rxjs that `@ag-ui/client` brings; another copy of it is as good, but of another type. */
type Observed = ReturnType<AbstractAgent["run"]>;

export class TertuliaAgent extends AbstractAgent {
  private server: Tertulia;
  private conversations: Conversations;
  private threads = new Map<string, Thread>();
  /** One key for each message, so that sending it again is no second one. */
  private keys = new Map<string, string>();
  private stopping = new AbortController();

  constructor({ url, headers, conversations = new Map<string, string>(), ...config }: TertuliaAgentConfig = {}) {
    super(config);
    this.server = new Tertulia(url, headers);
    this.conversations = conversations;
  }

  /** Answer what stands at the end of the messages: a user's message, or results of the client's tools. */
  override run(input: RunAgentInput): Observed {
    return this.observed(input, (run) => this.answered(run));
  }

  /** For `connectAgent`: the thread so far, and the rest of the answer that is being written. */
  protected override connect(input: RunAgentInput): Observed {
    return this.observed(input, (run) => this.restored(run));
  }

  /** Stop Claude; what was written until then is kept, and the run ends as cancelled. */
  override abortRun(): void {
    this.stopping.abort();
  }

  override clone(): TertuliaAgent {
    const { server, conversations, threads, keys } = this;
    return Object.assign(super.clone() as TertuliaAgent, {
      server,
      conversations,
      threads,
      keys,
      stopping: new AbortController(),
    });
  }

  private observed(input: RunAgentInput, play: (run: Run) => Played): Observed {
    const observed = new Observable<BaseEvent>((subscriber) => {
      const leaving = new AbortController();
      this.stopping = new AbortController();
      const run = { input, stopping: this.stopping.signal, leaving: leaving.signal };
      const pass = async () => {
        for await (const event of framed(run, play)) subscriber.next(event);
        subscriber.complete();
      };
      void pass();
      // Who only leaves stops nothing.
      return () => leaving.abort();
    });
    return observed as unknown as Observed;
  }

  private async *answered(run: Run): Played {
    const { input } = run;
    const thread = await this.thread(input);
    if (input.messages.at(-1)?.role === "user") {
      thread.waiting = undefined;
      return yield* this.follow(run, thread, { answer: await this.send(thread, input), state: initial });
    }
    const { waiting } = thread;
    const results = waiting ? resultsFor(waiting.waits, input) : [];
    if (!waiting || !results.length) throw new Error("There is nothing to answer.");
    await this.server.change(documents.submit, { input: { generationId: waiting.answer.id, results } });
    const left = without(waiting.waits, new Set(results.map((result) => result.toolUseId)));
    thread.waiting = left.toolUses?.length ? { ...waiting, waits: left } : undefined;
    if (thread.waiting) yield finished(input, outcomeOf(left));
    else yield* this.follow(run, thread, waiting);
  }

  private async *restored(run: Run): Played {
    const { threadId } = run.input;
    const conversationId = this.conversations.get(threadId);
    if (!conversationId) return yield finished(run.input, { type: "success" });
    const found = await this.server.ask<{ conversation: Conversation | null }>(documents.history, {
      id: conversationId,
    });
    if (!found.conversation) throw new Error("This conversation is not here any more.");
    const { activeGeneration: active, messages } = found.conversation;
    const nodes = messages.edges.map((edge) => edge.node);
    const thread: Thread = this.threads.get(threadId) ?? { conversationId, told: "", answers: new Map() };
    this.threads.set(threadId, thread);
    for (const [place, { id, role }] of nodes.entries()) {
      const next = nodes[place + 1];
      if (role === "USER" && next) thread.answers.set(id, next.id);
    }
    const written = nodes.filter((node) => node.id !== active?.message.id).flatMap(messagesOf);
    yield { type: EventType.MESSAGES_SNAPSHOT, messages: written };
    if (active) yield* this.follow(run, thread, { answer: active, state: initial });
    else yield finished(run.input, { type: "success" });
  }

  /** Give the thread, its conversation made or told what has changed. */
  private async thread({ threadId, messages, context, tools }: RunAgentInput): Promise<Thread> {
    const instructions = messages.flatMap((one) =>
      one.role === "system" || one.role === "developer" ? [one.content] : [],
    );
    const known = context.map(({ description, value }) => `${description}: ${value}`);
    const systemPrompt = [...instructions, ...known].join("\n\n");
    const client = tools.map(({ name, description, parameters }) => ({
      name,
      description,
      inputSchema: (parameters as object | undefined) ?? { type: "object" },
    }));
    const settings = { tools: { client }, ...(systemPrompt && { systemPrompt }) };
    const told = JSON.stringify(settings);
    const found = this.threads.get(threadId);
    if (found?.told === told) return found;
    const id = this.conversations.get(threadId);
    const [document, input] = id ? [documents.update, { id, ...settings }] : [documents.create, settings];
    const { conversation } = await this.server.change<{ conversation: { id: string } }>(document, { input });
    const thread = { answers: new Map<string, string>(), ...found, conversationId: conversation.id, told };
    this.conversations.set(threadId, conversation.id);
    this.threads.set(threadId, thread);
    return thread;
  }

  private async send(thread: Thread, { messages }: RunAgentInput): Promise<Answer> {
    const { conversationId, answers } = thread;
    const last = messages.at(-1) as UserMessage;
    const earlier = answers.get(last.id);
    const behindLast = messages.slice(messages.findLastIndex((one) => one.role !== "user" || answers.has(one.id)) + 1);
    const text = behindLast.map((one) => contentToText((one as UserMessage).content)).join("\n\n");
    const attachmentIds = await Promise.all(behindLast.flatMap((one) => this.files(one as UserMessage)));
    const idempotencyKey = earlier ? randomUUID() : (this.keys.get(last.id) ?? randomUUID());
    this.keys.set(last.id, idempotencyKey);
    const [document, input] = earlier
      ? [documents.regenerate, { messageId: earlier, idempotencyKey }]
      : [documents.send, { conversationId, text, attachmentIds, idempotencyKey }];
    const { generation } = await this.server.change<{ generation: Answer }>(document, { input });
    answers.set(last.id, generation.message.id);
    return generation;
  }

  private files({ content }: UserMessage): Promise<string>[] {
    if (typeof content === "string") return [];
    return content.flatMap((part) => {
      if (part.type === "text") return [];
      if (part.source.type === "file") throw new Error("A file must come with its bytes, or with an address.");
      const { value, mimeType } = part.source;
      const url = part.source.type === "url" ? value : `data:${mimeType};base64,${value}`;
      return [this.server.upload(url, part.type)];
    });
  }

  private async *follow({ input, stopping, leaving }: Run, thread: Thread, begun: Shown): Played {
    const { answer } = begun;
    const stop = () => void this.server.change(documents.stop, { id: answer.id }).catch(console.error);
    if (stopping.aborted) stop();
    stopping.addEventListener("abort", stop, { once: true });
    const answered = new Set(input.messages.flatMap((one) => (one.role === "tool" ? [one.toolCallId] : [])));
    let [state, shown] = [initial, begun.state];
    for await (const event of this.server.follow(answer.id, leaving)) {
      state = apply(state, event);
      yield* events(shown, state, answer.message.id, answered);
      const isNews = state.sequence > shown.sequence;
      shown = behind(shown, state);
      if (isNews && state.waits) {
        thread.waiting = { answer, state: shown, waits: state.waits };
        const { generation } = await this.server.ask<{ generation: Generation }>(documents.used, { id: answer.id });
        return yield finished(input, outcomeOf(state.waits), this.usage(thread, answer.id, generation));
      }
      if (ended(state)) return yield end(input, event, this.usage(thread, answer.id, event.generation));
    }
  }

  /** What this run has used: all that the answer has, without what its earlier runs have reported. */
  private usage(thread: Thread, id: string, generation: Partial<Generation> | null | undefined): TokenUsage[] {
    if (!generation?.usage) return [];
    const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = generation.usage;
    const all = {
      inputTokens: inputTokens + cacheReadTokens + cacheWriteTokens,
      outputTokens,
      totalTokens: inputTokens + cacheReadTokens + cacheWriteTokens + outputTokens,
      cachedInputTokens: cacheReadTokens,
      cacheWriteInputTokens: cacheWriteTokens,
    };
    const before: Record<string, unknown> = thread.reported?.id === id ? thread.reported.usage : {};
    thread.reported = { id, usage: all };
    const own = Object.entries(all).map(([name, count]) => [name, count - Number(before[name] ?? 0)] as const);
    return [
      { provider: "anthropic", ...(generation.model && { model: generation.model.id }), ...Object.fromEntries(own) },
    ];
  }
}

async function* framed(run: Run, play: (run: Run) => Played): Played {
  const { threadId, runId } = run.input;
  yield { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION };
  try {
    yield* play(run);
  } catch (error) {
    yield { type: EventType.RUN_ERROR, message: error instanceof Error ? error.message : String(error) };
  }
}

type Outcome = NonNullable<Extract<AGUIEvent, { type: EventType.RUN_FINISHED }>["outcome"]>;

function finished({ threadId, runId }: RunAgentInput, outcome: Outcome, usage: TokenUsage[] = []): AGUIEvent {
  return { type: EventType.RUN_FINISHED, threadId, runId, outcome, usage };
}

function end(input: RunAgentInput, { __typename, error, generation }: Event, usage: TokenUsage[]): AGUIEvent {
  if (__typename === "GenerationFailed") {
    return {
      type: EventType.RUN_ERROR,
      message: error?.message ?? "The answer failed.",
      code: error?.code ?? "FAILED",
      usage,
    };
  }
  const outcome: Outcome = { type: __typename === "GenerationStopped" ? "cancelled" : "success" };
  const metadata = { stopReason: generation?.stopReason ?? null, costUsd: generation?.usage?.costUsd ?? null };
  return { ...finished(input, outcome, usage), metadata };
}

/** A yes or no is an interrupt; calls of the client's own tools are simply left to it. */
function outcomeOf({ toolUses, approvals, expiresAt }: StreamEvent): Outcome {
  const asking = new Set(approvals?.map((call) => call.toolUseId));
  const calls = toolUses ?? [];
  const interrupts = calls.flatMap((call): Interrupt[] => {
    const id = call.toolUseId ?? "";
    if (!asking.has(id)) return [];
    const message = `May Claude call ${call.name} with ${JSON.stringify(call.input)}?`;
    const properties = { approved: { type: "boolean" }, reason: { type: "string" } };
    const responseSchema = { type: "object", properties, required: ["approved"] };
    return [
      {
        id,
        reason: "tool_call",
        message,
        toolCallId: id,
        responseSchema,
        ...(typeof expiresAt === "string" ? { expiresAt } : {}),
      },
    ];
  });
  if (interrupts.length) return { type: "interrupt", interrupts };
  return { type: "success", pendingToolCallIds: calls.map((call) => call.toolUseId ?? "") };
}

/** What this run's input says of the calls that are waited for. */
function resultsFor({ toolUses, approvals }: StreamEvent, { messages, resume = [] }: RunAgentInput) {
  const asking = new Set(approvals?.map((call) => call.toolUseId));
  return (toolUses ?? []).flatMap(({ toolUseId }): { toolUseId: string; [field: string]: unknown }[] => {
    const id = toolUseId ?? "";
    if (asking.has(id)) {
      const entry = resume.find((one) => one.interruptId === id);
      if (!entry) return [];
      const payload = entry.payload as { approved?: boolean; reason?: string } | undefined;
      const approved = entry.status === "resolved" && payload?.approved === true;
      const reason = approved ? undefined : payload?.reason;
      return [{ toolUseId: id, approved, ...(reason ? { output: reason } : {}) }];
    }
    const told = messages.findLast((one) => one.role === "tool" && one.toolCallId === id);
    if (told?.role !== "tool") return [];
    const output = [contentToText(told.content), told.error].filter(Boolean).join("\n");
    return [{ toolUseId: id, output, isError: told.error !== undefined }];
  });
}

function without(waits: StreamEvent, ids: ReadonlySet<string>): StreamEvent {
  const left = (calls: StreamEvent["toolUses"]) => (calls ?? []).filter((call) => !ids.has(call.toolUseId ?? ""));
  return { ...waits, toolUses: left(waits.toolUses), approvals: left(waits.approvals) };
}
