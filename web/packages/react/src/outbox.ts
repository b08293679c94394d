import type { TertuliaClient } from "./client.ts";
import { REGENERATE, SEND } from "./documents.ts";
import { payloadFailure, TertuliaError, type Failure } from "./errors.ts";
import type { SendMessageInput } from "./operations.ts";
import { store, type Store } from "./store.ts";
import type { Attachment } from "./upload.ts";

/** What the user has written. */
export interface Draft {
  readonly text: string;
  readonly files: readonly Attachment[];
}

/** The other fields of a message. A message to a conversation that exists sends only some of them. */
export type MessageSettings = Partial<Omit<SendMessageInput, "text" | "attachmentIds" | "conversationId" | "idempotencyKey">>;

/**
 * A message on its way to the server. It is repeated with the same idempotency key until the server responds, so it survives a
 * lost connection, and is not sent and paid for twice.
 */
export interface Outgoing {
  /** The idempotency key. */
  readonly key: string;
  /** The conversation's id. Null for a new one, which also gets the other messages without an id. */
  readonly to: string | null;
  readonly draft: Draft;
  readonly settings: MessageSettings;
  /** Milliseconds since 1970. */
  readonly writtenAt: number;
  /** Whether the server could not be reached. */
  readonly waiting: boolean;
  /** Why the server refused the message. The user decides what happens to it. */
  readonly problem: Failure | null;
  /** The id of the stored message, which is shown from here until it has been read from the server. */
  readonly messageId: string | null;
}

/** The ids of a message that the server has stored, and of the answer to it. */
export interface Sent {
  readonly conversationId: string;
  readonly messageId: string;
  readonly generationId: string;
}

export interface OutboxOptions {
  /** The item of `localStorage` that keeps the messages during a refresh, one for each user. Default: they are kept in memory only. */
  readonly storageKey?: () => string;
  /** Called when the server has stored a message. */
  readonly onSent?: (sent: Sent, item: Outgoing) => void;
  /** Called when messages that waited for the connection have been sent, with their number. */
  readonly onDelivered?: (count: number) => void;
  /** Whether a conversation is shown, so that a sent message is needed until the conversation is read again. Default: it is. */
  readonly isShown?: (conversationId: string) => boolean;
}

/** The messages of one browser that are being sent, in their order. */
export interface Outbox {
  readonly items: Store<readonly Outgoing[]>;
  /** Send a message. The result is null if the server has refused it; `Outgoing.problem` is the reason. */
  send(client: TertuliaClient, to: string | null, draft: Draft, settings?: MessageSettings): Promise<Sent | null>;
  /** Retry a message that the server has refused. */
  retry(client: TertuliaClient, key: string): Promise<void>;
  remove(key: string): void;
  /** Send what is waiting. */
  deliver(client: TertuliaClient): Promise<void>;
  /** Forget all messages. */
  clear(): void;
  /** Read the messages from the storage, after another tab has changed it or another user has signed in. */
  load(): void;
}

/** The server knows an idempotency key for 24 hours. Older messages are not sent without asking. */
const MAX_AGE_MS = 23 * 3_600_000;
const TIMEOUT_MS = 20_000;
const TOO_OLD: Failure = { code: "TOO_OLD", message: "The message was written more than 23 hours ago.", retryAt: null, resetsAt: null, traceId: null };

/** Return an idempotency key: repeating a send with the same key does not send a second message. */
export function newKey(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  // `crypto.randomUUID` exists only on pages from this machine or over TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether a message still has to be sent. */
export function isPending({ problem, messageId }: Outgoing): boolean {
  return !problem && !messageId;
}

/** Return an outbox. It delivers one message after another. */
export function createOutbox(options: OutboxOptions = {}): Outbox {
  const stored = storedItems(options.storageKey);
  const items = store<readonly Outgoing[]>(stored.read());
  const senders = new Map<string, (sent: Sent | null) => void>();
  let owner = options.storageKey?.();
  let delivering: Promise<void> | null = null;

  /** Change the messages of this tab and those in the storage, to which other tabs may have added some. */
  function change(work: (items: readonly Outgoing[]) => readonly Outgoing[]): void {
    stored.write(work(stored.read()).filter((item) => !item.messageId));
    items.set(work(items.get()));
  }
  function update(key: string, changes: Partial<Outgoing>): void {
    change((all) => all.map((item) => (item.key === key ? { ...item, ...changes } : item)));
  }
  function settle(key: string, sent: Sent | null): void {
    senders.get(key)?.(sent);
    senders.delete(key);
  }
  function remove(key: string): void {
    change((all) => all.filter((item) => item.key !== key));
    settle(key, null);
  }
  /**
   * Give the messages to a new conversation its id. In the storage, the message that has created it stays as it was sent until
   * it is read. If the page is refreshed before the browser knows the new address, the old one opens, and the message is
   * repeated with the same idempotency key, which shows the conversation.
   */
  function assign(id: string, key: string): void {
    const withId = (item: Outgoing) => (item.to === null ? { ...item, to: id } : item);
    stored.write(stored.read().map((item) => (item.key === key ? item : withId(item))));
    items.set(items.get().map(withId));
  }
  function deliver(client: TertuliaClient): Promise<void> {
    delivering ??= deliverAll(client).finally(() => { delivering = null; });
    return delivering;
  }
  /** Deliver the messages in their order, until the server cannot be reached. */
  async function deliverAll(client: TertuliaClient): Promise<void> {
    let late = 0;
    const next = () => items.get().find(isPending);
    for (let item = next(); item && (await deliverOne(client, item)); item = next()) late += Number(item.waiting);
    if (late > 0) options.onDelivered?.(late);
  }
  /** Return whether the server has responded. */
  async function deliverOne(client: TertuliaClient, item: Outgoing): Promise<boolean> {
    const { key, to } = item;
    const response = await request(client, item);
    if (response === null) {
      change((all) => all.map((other) => (isPending(other) ? { ...other, waiting: true } : other)));
      return false;
    }
    if ("code" in response) {
      update(key, { problem: response });
      settle(key, null);
      return true;
    }
    const { conversationId, messageId } = response;
    if (!to) assign(conversationId, key);
    options.onSent?.(response, item);
    if (!(options.isShown?.(conversationId) ?? true)) change((all) => all.filter((other) => other.key !== key));
    else if (to) update(key, { messageId });
    else items.set(items.get().map((other) => (other.key === key ? { ...other, messageId } : other)));
    settle(key, response);
    return true;
  }
  return {
    items,
    send(client, to, draft, settings = {}) {
      const item: Outgoing = { key: newKey(), to, draft, settings, writtenAt: Date.now(), waiting: false, problem: null, messageId: null };
      const sent = new Promise<Sent | null>((resolve) => senders.set(item.key, resolve));
      change((all) => [...all, item]);
      void deliver(client);
      return sent;
    },
    retry(client, key) {
      update(key, { problem: null });
      return deliver(client);
    },
    remove,
    deliver,
    clear() {
      stored.write(null);
      items.set([]);
    },
    load() {
      const now = options.storageKey?.();
      const shown = owner === now ? items.get().filter((item) => item.messageId) : [];
      owner = now;
      items.set([...shown, ...stored.read().filter((item) => !shown.some(({ key }) => key === item.key))]);
    },
  };
}

/** Send a message once. Return why the server refused it, or null if the server did not respond. */
async function request(client: TertuliaClient, { key, to, draft, settings }: Outgoing): Promise<Sent | Failure | null> {
  const content = { text: draft.text, attachmentIds: draft.files.map((file) => file.id), conversationId: to };
  const { options, context, metadata, whenBusy = "QUEUE" } = settings;
  const always = { ...(options && { options }), ...(context !== undefined && { context }), ...(metadata !== undefined && { metadata }) };
  const input: SendMessageInput = { ...content, ...(to ? always : settings), idempotencyKey: key, whenBusy };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<null>((resolve) => { timer = setTimeout(resolve, TIMEOUT_MS, null); });
  try {
    const data = await Promise.race([client.request(SEND, { input }), timeout]);
    return data && sentOf(data, data.sendMessage);
  } catch (error) {
    if (!(error instanceof TertuliaError)) throw error;
    return error.code === "UNREACHABLE" ? null : error.failure;
  } finally {
    clearTimeout(timer);
  }
}

/** The result of `sendMessage` and `regenerateMessage`. */
interface SendResult {
  readonly __typename: string;
  readonly conversation?: { readonly id: string };
  readonly userMessage?: { readonly id: string };
  readonly generation?: { readonly id: string };
}

function sentOf(data: object, { conversation, userMessage, generation }: SendResult): Sent | Failure {
  if (!conversation || !userMessage || !generation) {
    return payloadFailure(data) ?? { code: "BAD_RESPONSE", message: "The server's response has an unknown type.", retryAt: null, resetsAt: null, traceId: null };
  }
  return { conversationId: conversation.id, messageId: userMessage.id, generationId: generation.id };
}

/** Ask for another version of an answer. Rejects with a `TertuliaError`. */
export async function regenerate(client: TertuliaClient, messageId: string): Promise<Sent> {
  const data = await client.request(REGENERATE, { input: { messageId, idempotencyKey: newKey() } });
  const sent = sentOf(data, data.regenerateMessage);
  if ("code" in sent) throw new TertuliaError(sent);
  return sent;
}

/** Read and write the messages in `localStorage`; nothing without a key. */
function storedItems(storageKey: (() => string) | undefined) {
  let memory: readonly Outgoing[] = [];
  return {
    read(): readonly Outgoing[] {
      if (!storageKey) return memory;
      try {
        const items = (JSON.parse(localStorage.getItem(storageKey()) ?? "[]")) as readonly Outgoing[];
        return items.map((item) => (Date.now() - item.writtenAt < MAX_AGE_MS ? item : { ...item, problem: TOO_OLD }));
      } catch {
        return [];
      }
    },
    write(items: readonly Outgoing[] | null): void {
      memory = items ?? [];
      if (!storageKey) return;
      try {
        if (items) localStorage.setItem(storageKey(), JSON.stringify(items));
        else localStorage.removeItem(storageKey());
      } catch {
        // Storage is full or forbidden. The messages then last until the page is closed.
      }
    },
  };
}
