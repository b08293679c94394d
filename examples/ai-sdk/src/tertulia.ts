/** The operations of Tertulia that a chat needs, over HTTP and one WebSocket. */

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
const GENERATION = `id status stopReason refusal { category explanation } error { message }
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
  /** An exact amount in US dollars; null if the model's price is not known. */
  costUsd: string | null;
}

export interface Generation {
  id: string;
  status: Status;
  stopReason: string | null;
  refusal: { category: string | null; explanation: string | null } | null;
  error: { message: string } | null;
  usage: Usage | null;
}

/** An answer to follow: its generation, and the message that the generation writes. */
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

/** An event of `generationEvents`. The terminal event contains the whole generation. */
export type Event = StreamEvent & { generation?: Partial<Generation> | null };

/** A tool that Claude may call and this page runs. */
export interface ClientTool {
  name: string;
  description: string;
  inputSchema: object;
}

export class Tertulia {
  private readonly socket: Client;

  /**
   * @param url The server's address; by default the page's origin.
   * @param headers Returns headers such as `Authorization`, for each request and connection.
   */
  constructor(
    private readonly url = "",
    private readonly headers: () => Record<string, string> = () => ({}),
  ) {
    const { href } = new URL(`${url}/graphql`, globalThis.location?.href);
    this.socket = createClient({
      url: href.replace(/^http/, "ws"),
      connectionParams: headers,
      // After a laptop's sleep or a lost network the page reconnects, however long it took.
      retryAttempts: Infinity,
      shouldRetry: () => true,
    });
  }

  /** Execute a query or mutation. Returns `data`; throws an `Error` with the server's message. */
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

  /** Return a mutation's payload. Throws if the result is an error type of its union; those have a `message`. */
  async change<Payload>(mutation: string, variables: object): Promise<Payload> {
    const { result } = await this.ask<{ result: Payload & { message?: string } }>(mutation, variables);
    if (result.message !== undefined) throw new Error(result.message);
    return result;
  }

  /** Follow an answer until it ends or `leaving` is aborted. After a reconnection the first event is a snapshot. */
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

  /** Upload a file from a URL that this page can fetch, and return the attachment's id. */
  async upload(url: string, filename: string): Promise<string> {
    const form = new FormData();
    form.append("file", await (await fetch(url)).blob(), filename);
    const response = await fetch(`${this.url}/attachments`, { method: "POST", headers: this.headers(), body: form });
    const attachment = (await response.json()) as { id?: string; error?: { message: string } };
    if (!attachment.id) throw new Error(attachment.error?.message ?? response.statusText);
    return attachment.id;
  }
}
