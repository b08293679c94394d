/**
 * An AG-UI agent that uses Tertulia. Its answers survive a refresh, a lost connection and a server restart.
 *
 * Copy this file, events.ts and tertulia.ts.
 */

import { AbstractAgent, randomUUID, type AgentConfig } from "@ag-ui/client";
import { contentToText, EventType, PROTOCOL_VERSION } from "@ag-ui/core";
import type { AGUIEvent, BaseEvent, Interrupt, RunAgentInput, TokenUsage, UserMessage } from "@ag-ui/core";
import { apply, ended, initial, type State, type StreamEvent } from "@tertulia/stream";
import { Observable } from "rxjs";
import { shownAfter, events, messagesOf } from "./events";
import { documents, Tertulia, type Answer, type Conversation, type Event, type Generation } from "./tertulia";

/** Maps the ids of AG-UI's threads to the ids of Tertulia's conversations. */
export interface Conversations {
  get(threadId: string): string | undefined;
  set(threadId: string, conversationId: string): unknown;
}

export interface TertuliaAgentConfig extends AgentConfig {
  /** The server's address; by default the page's origin. */
  url?: string;
  /** Returns headers such as `Authorization`. Called before each request and each connection. */
  headers?: () => Record<string, string>;
  /** By default a `Map`. Pass persistent storage if threads must survive a refresh. */
  conversations?: Conversations;
}

/** An answer, and its state after the events that were shown. */
interface Shown {
  answer: Answer;
  state: State;
}

interface Thread {
  conversationId: string;
  /** The tools and the system prompt of the conversation, as JSON. */
  settings: string;
  /** The answers to the user's messages, by AG-UI's ids. */
  answers: Map<string, string>;
  /** The answer that waits for the client, and the calls that have no result yet. */
  waiting?: (Shown & { waits: StreamEvent }) | undefined;
  /** The usage that earlier runs of an answer have reported. */
  reported?: { id: string; usage: TokenUsage } | undefined;
}

interface Run {
  input: RunAgentInput;
  /** Aborted when the client stops the answer. */
  stopping: AbortSignal;
  /** Aborted when the client unsubscribes. The answer continues. */
  leaving: AbortSignal;
}

type EventStream = AsyncGenerator<AGUIEvent, void>;
/** The Observable type of the rxjs copy in `@ag-ui/client`. Other copies work too, but have a different type. */
type Observed = ReturnType<AbstractAgent["run"]>;

export class TertuliaAgent extends AbstractAgent {
  private server: Tertulia;
  private conversations: Conversations;
  private threads = new Map<string, Thread>();
  /** The idempotency key of each message, so that a repeated send does not become a second message. */
  private keys = new Map<string, string>();
  private stopping = new AbortController();

  constructor({ url, headers, conversations = new Map<string, string>(), ...config }: TertuliaAgentConfig = {}) {
    super(config);
    this.server = new Tertulia(url, headers);
    this.conversations = conversations;
  }

  /** Answer the last messages: a user message, or results of client tools. */
  override run(input: RunAgentInput): Observed {
    return this.observe(input, (run) => this.answer(run));
  }

  /** For `connectAgent`: emit the thread so far, and then the running answer. */
  protected override connect(input: RunAgentInput): Observed {
    return this.observe(input, (run) => this.restore(run));
  }

  /** Stop the answer. The text written until then is kept, and the run ends as `cancelled`. */
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

  private observe(input: RunAgentInput, events: (run: Run) => EventStream): Observed {
    const observable = new Observable<BaseEvent>((subscriber) => {
      const leaving = new AbortController();
      this.stopping = new AbortController();
      const run = { input, stopping: this.stopping.signal, leaving: leaving.signal };
      const emit = async () => {
        for await (const event of withStartAndErrors(run, events)) subscriber.next(event);
        subscriber.complete();
      };
      void emit();
      // Unsubscribing does not stop the answer.
      return () => leaving.abort();
    });
    return observable as unknown as Observed;
  }

  private async *answer(run: Run): EventStream {
    const { input } = run;
    const thread = await this.thread(input);
    if (input.messages.at(-1)?.role === "user") {
      thread.waiting = undefined;
      return yield* this.follow(run, thread, { answer: await this.send(thread, input), state: initial });
    }
    const { waiting } = thread;
    const results = waiting ? resultsFor(waiting.waits, input) : [];
    if (!waiting || !results.length) throw new Error("There is no new message or tool result to answer.");
    await this.server.change(documents.submit, { input: { generationId: waiting.answer.id, results } });
    const left = without(waiting.waits, new Set(results.map((result) => result.toolUseId)));
    thread.waiting = left.toolUses?.length ? { ...waiting, waits: left } : undefined;
    if (thread.waiting) yield finished(input, outcomeOf(left));
    else yield* this.follow(run, thread, waiting);
  }

  private async *restore(run: Run): EventStream {
    const { threadId } = run.input;
    const conversationId = this.conversations.get(threadId);
    if (!conversationId) return yield finished(run.input, { type: "success" });
    const found = await this.server.ask<{ conversation: Conversation | null }>(documents.history, {
      id: conversationId,
    });
    if (!found.conversation) throw new Error("This conversation no longer exists.");
    const { activeGeneration: active, messages } = found.conversation;
    const nodes = messages.edges.map((edge) => edge.node);
    const thread: Thread = this.threads.get(threadId) ?? { conversationId, settings: "", answers: new Map() };
    this.threads.set(threadId, thread);
    for (const [index, { id, role }] of nodes.entries()) {
      const next = nodes[index + 1];
      if (role === "USER" && next) thread.answers.set(id, next.id);
    }
    const finishedMessages = nodes.filter((node) => node.id !== active?.message.id).flatMap(messagesOf);
    yield { type: EventType.MESSAGES_SNAPSHOT, messages: finishedMessages };
    if (active) yield* this.follow(run, thread, { answer: active, state: initial });
    else yield finished(run.input, { type: "success" });
  }

  /** Return the thread. Creates its conversation, or updates the conversation's settings if they have changed. */
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
    const serialized = JSON.stringify(settings);
    const existing = this.threads.get(threadId);
    if (existing?.settings === serialized) return existing;
    const id = this.conversations.get(threadId);
    const [document, input] = id ? [documents.update, { id, ...settings }] : [documents.create, settings];
    const { conversation } = await this.server.change<{ conversation: { id: string } }>(document, { input });
    const thread = {
      answers: new Map<string, string>(),
      ...existing,
      conversationId: conversation.id,
      settings: serialized,
    };
    this.conversations.set(threadId, conversation.id);
    this.threads.set(threadId, thread);
    return thread;
  }

  private async send(thread: Thread, { messages }: RunAgentInput): Promise<Answer> {
    const { conversationId, answers } = thread;
    const last = messages.at(-1) as UserMessage;
    const earlier = answers.get(last.id);
    const unanswered = messages.slice(messages.findLastIndex((one) => one.role !== "user" || answers.has(one.id)) + 1);
    const text = unanswered.map((one) => contentToText((one as UserMessage).content)).join("\n\n");
    const attachmentIds = await Promise.all(unanswered.flatMap((one) => this.files(one as UserMessage)));
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
      if (part.source.type === "file") throw new Error("The source of a file must be `data` or `url`.");
      const { value, mimeType } = part.source;
      const url = part.source.type === "url" ? value : `data:${mimeType};base64,${value}`;
      return [this.server.upload(url, part.type)];
    });
  }

  private async *follow({ input, stopping, leaving }: Run, thread: Thread, before: Shown): EventStream {
    const { answer } = before;
    const stop = () => void this.server.change(documents.stop, { id: answer.id }).catch(console.error);
    if (stopping.aborted) stop();
    stopping.addEventListener("abort", stop, { once: true });
    const answered = new Set(input.messages.flatMap((one) => (one.role === "tool" ? [one.toolCallId] : [])));
    let [state, shown] = [initial, before.state];
    for await (const event of this.server.follow(answer.id, leaving)) {
      state = apply(state, event);
      yield* events(shown, state, answer.message.id, answered);
      const isNew = state.sequence > shown.sequence;
      shown = shownAfter(shown, state);
      if (isNew && state.waits) {
        thread.waiting = { answer, state: shown, waits: state.waits };
        const { generation } = await this.server.ask<{ generation: Generation }>(documents.used, { id: answer.id });
        return yield finished(input, outcomeOf(state.waits), this.usage(thread, answer.id, generation));
      }
      if (ended(state)) return yield end(input, event, this.usage(thread, answer.id, event.generation));
    }
  }

  /** Return the usage of this run: that of the whole answer, minus what its earlier runs have reported. */
  private usage(thread: Thread, id: string, generation: Partial<Generation> | null | undefined): TokenUsage[] {
    if (!generation?.usage) return [];
    const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = generation.usage;
    const total = {
      inputTokens: inputTokens + cacheReadTokens + cacheWriteTokens,
      outputTokens,
      totalTokens: inputTokens + cacheReadTokens + cacheWriteTokens + outputTokens,
      cachedInputTokens: cacheReadTokens,
      cacheWriteInputTokens: cacheWriteTokens,
    };
    const reported: Record<string, unknown> = thread.reported?.id === id ? thread.reported.usage : {};
    thread.reported = { id, usage: total };
    const difference = Object.entries(total).map(([name, count]) => [name, count - Number(reported[name] ?? 0)]);
    return [
      {
        provider: "anthropic",
        ...(generation.model && { model: generation.model.id }),
        ...Object.fromEntries(difference),
      },
    ];
  }
}

async function* withStartAndErrors(run: Run, events: (run: Run) => EventStream): EventStream {
  const { threadId, runId } = run.input;
  yield { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION };
  try {
    yield* events(run);
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
  const { stopReason = null, refusal = null } = generation ?? {};
  const metadata = { stopReason, refusal, costUsd: generation?.usage?.costUsd ?? null };
  return { ...finished(input, outcome, usage), metadata };
}

/** Return the outcome of a run that waits: approvals are interrupts; calls of client tools are `pendingToolCallIds`. */
function outcomeOf({ toolUses, approvals, expiresAt }: StreamEvent): Outcome {
  const asking = new Set(approvals?.map((call) => call.toolUseId));
  const calls = toolUses ?? [];
  const interrupts = calls.flatMap((call): Interrupt[] => {
    const id = call.toolUseId ?? "";
    if (!asking.has(id)) return [];
    const message = `Allow Claude to call ${call.name} with ${JSON.stringify(call.input)}?`;
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

/** Return the results in this run's input for the calls that the answer waits for. */
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
    const result = messages.findLast((one) => one.role === "tool" && one.toolCallId === id);
    if (result?.role !== "tool") return [];
    const output = [contentToText(result.content), result.error].filter(Boolean).join("\n");
    return [{ toolUseId: id, output, isError: result.error !== undefined }];
  });
}

function without(waits: StreamEvent, ids: ReadonlySet<string>): StreamEvent {
  const left = (calls: StreamEvent["toolUses"]) => (calls ?? []).filter((call) => !ids.has(call.toolUseId ?? ""));
  return { ...waits, toolUses: left(waits.toolUses), approvals: left(waits.approvals) };
}
