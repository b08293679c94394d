/** The few operations of Tertulia that a chat needs, over HTTP and one socket. */

import type { Block, Status, StreamEvent } from "@tertulia/stream";
import { createClient, type Client } from "graphql-ws";

const BLOCKS = `
  __typename index
  ... on TextBlock { text citations { citedText source } }
  ... on JsonBlock { text }
  ... on ThinkingBlock { text redacted }
  ... on CompactionBlock { summary }
  ... on ToolUseBlock { toolUseId name input partialJson }
  ... on ToolResultBlock { toolUseId output isError }
  ... on ImageBlock { attachment { url mediaType filename } }
  ... on DocumentBlock { attachment { url mediaType filename } }`;
const GENERATION = `id status stopReason error { message }
  usage { inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd }`;
const SENT = `
  ... on SendMessagePayload { conversation { id } userMessage { id } generation { id message { id } } }
  ... on Error { message }`;

export const documents = {
  send: `mutation ($input: SendMessageInput!) { result: sendMessage(input: $input) { ${SENT} } }`,
  edit: `mutation ($input: EditMessageInput!) { result: editMessage(input: $input) { ${SENT} } }`,
  regenerate: `mutation ($input: RegenerateMessageInput!) { result: regenerateMessage(input: $input) { ${SENT} } }`,
  submit: `mutation ($input: SubmitToolResultsInput!) { result: submitToolResults(input: $input) {
    ... on GenerationPayload { generation { id } } ... on Error { message } } }`,
  stop: `mutation ($id: ID!) { result: stopGeneration(id: $id) {
    ... on GenerationPayload { generation { id } } ... on Error { message } } }`,
  follow: `subscription ($id: ID!) { generationEvents(generationId: $id) { __typename sequence
    ... on MessageSnapshot { message { id content { ${BLOCKS} } } generation { status } }
    ... on ContentBlockStarted { index block { ${BLOCKS} } }
    ... on ContentBlockFinished { index block { ${BLOCKS} } }
    ... on TextDelta { index offset text }
    ... on ThinkingDelta { index offset text }
    ... on ToolInputDelta { index offset partialJson }
    ... on ToolResultsRequired { toolUses { toolUseId name } approvals { toolUseId } }
    ... on GenerationCompleted { generation { ${GENERATION} } }
    ... on GenerationStopped { generation { ${GENERATION} } }
    ... on GenerationFailed { generation { ${GENERATION} } error { message } } } }`,
  history: `query ($id: ID!) { conversation(id: $id) { activeGeneration { id message { id } }
    messages(last: 100) { edges { node { id role content { ${BLOCKS} } generation { ${GENERATION} } } } } } }`,
  active: `query ($id: ID!) { conversation(id: $id) { activeGeneration { id message { id } } } }`,
};

export interface Usage {
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  /** US dollars, exact; null where the price is not known. */
  costUsd: string | null;
}

export interface Generation {
  id: string;
  status: Status;
  stopReason: string | null;
  error: { message: string } | null;
  usage: Usage | null;
}

/** An answer to follow: Claude's work on it, and the message that it becomes. */
export interface Answer {
  id: string;
  message: { id: string };
}

export interface Sent {
  conversation: { id: string };
  userMessage: { id: string };
  generation: Answer;
}

export interface Conversation {
  activeGeneration: Answer | null;
  messages: {
    edges: { node: { id: string; role: "USER" | "ASSISTANT"; content: Block[]; generation: Generation | null } }[];
  };
}

/** An event of `generationEvents`; the last one bears the whole generation. */
export type Event = StreamEvent & { generation?: Partial<Generation> | null };

/** What Claude may call and this page runs. */
export interface ClientTool {
  name: string;
  description: string;
  inputSchema: object;
}

export class Tertulia {
  private readonly socket: Client;

  /** `url`: the server's address, else the page's own origin. `headers`: such as Authorization, asked each time. */
  constructor(
    private readonly url = "",
    private readonly headers: () => Record<string, string> = () => ({}),
  ) {
    const { href } = new URL(`${url}/graphql`, globalThis.location?.href);
    this.socket = createClient({
      url: href.replace(/^http/, "ws"),
      connectionParams: headers,
      // A page that was asleep, or in a tunnel, goes on when it can.
      retryAttempts: Infinity,
      shouldRetry: () => true,
    });
  }

  /** Give `data`; throw the server's sentence. */
  async ask<Data>(query: string, variables: object): Promise<Data> {
    const response = await fetch(`${this.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", ...this.headers() },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data?: Data; errors?: { message: string }[] };
    if (!data || errors) throw new Error(errors?.map((error) => error.message).join(" ") ?? response.statusText);
    return data;
  }

  /** Give a mutation's payload; its errors are members of its union, and all have a `message`. */
  async change<Payload>(mutation: string, variables: object): Promise<Payload> {
    const { result } = await this.ask<{ result: Payload & { message?: string } }>(mutation, variables);
    if (result.message !== undefined) throw new Error(result.message);
    return result;
  }

  /** Follow an answer to its end, or to `leaving`. A lost socket is opened again; a snapshot says what was missed. */
  async *follow(generationId: string, leaving: AbortSignal): AsyncGenerator<Event, void> {
    if (leaving.aborted) return;
    const events = this.socket.iterate<{ generationEvents: Event }>({
      query: documents.follow,
      variables: { id: generationId },
    });
    leaving.addEventListener("abort", () => void events.return?.(), { once: true });
    for await (const result of events) {
      if (result.errors) throw new Error(result.errors.map((error) => error.message).join(" "));
      if (result.data) yield result.data.generationEvents;
    }
  }

  /** Keep a file, named by any URL that this page can read; give its id. */
  async upload(url: string, filename: string): Promise<string> {
    const form = new FormData();
    form.append("file", await (await fetch(url)).blob(), filename);
    const response = await fetch(`${this.url}/attachments`, { method: "POST", headers: this.headers(), body: form });
    const kept = (await response.json()) as { id?: string; error?: { message: string } };
    if (!kept.id) throw new Error(kept.error?.message ?? response.statusText);
    return kept.id;
  }
}
