import { useEffect } from "react";
import { useClient, type Client } from "urql";
import { returns } from "./client";
import { moveNewDraft, type Draft } from "./drafts";
import { t } from "./messages";
import { SendDocument, type SendMessageInput } from "./operations";
import { mutationProblem, problemOf, type Problem } from "./problems";
import { currentId, show } from "./route";
import { hostUser, session, subject } from "./session";
import { store, useStore } from "./store";
import { toast } from "./toasts";
import { moveNewUploads } from "./uploads";
import { newKey } from "./words";

/** What is sent with a message. Only the first one of a conversation chooses more than the options. */
export type MessageSettings = Partial<Pick<SendMessageInput, "assistantId" | "options" | "temporary">>;

/**
 * A message on its way to the server. It is stored before it is sent, and repeated with the same idempotency key until the
 * server responds. So it survives a lost connection and a refresh, and is not sent and paid for twice.
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
  readonly problem: Problem | null;
  /** The id of the stored message, which is shown from here until the page has read it from the server. */
  readonly messageId: string | null;
}

/** The server knows an idempotency key for 24 hours. Older messages are not sent without asking. */
const MAX_AGE_MS = 23 * 3_600_000;
const RETRY_MS = 4_000;
const TIMEOUT_MS = 20_000;

let owner = subject();
export const outbox = store<readonly Outgoing[]>(read());
let delivering: Promise<void> | null = null;

session.subscribe(load);
hostUser.subscribe(() => {
  localStorage.removeItem("tertulia:outbox:local");
  load();
});
addEventListener("storage", ({ key }) => key === storageKey() && load());

/** Send a message; `deliver` repeats it until the server responds. */
export function sendMessage(client: Client, to: string | null, draft: Draft, settings: MessageSettings): void {
  const item = { key: newKey(), to, draft, settings, writtenAt: Date.now(), waiting: false, problem: null, messageId: null };
  change((items) => [...items, item]);
  void deliver(client);
}

/** Retry a message that the server has refused. */
export function retry(client: Client, key: string): Promise<void> {
  update(key, { problem: null });
  return deliver(client);
}

export function remove(key: string): void {
  change((items) => items.filter((item) => item.key !== key));
}

/** Forget all messages of the signed-in user, who is signing out. */
export function forgetOutbox(): void {
  localStorage.removeItem(storageKey());
  outbox.set([]);
}

/** Deliver messages when the page is opened, when the connection returns, and repeatedly while one is waiting. */
export function useDelivery(): void {
  const client = useClient();
  const reconnected = useStore(returns);
  const waiting = useStore(outbox).some((item) => item.waiting && isPending(item));
  useEffect(() => void deliver(client), [client, reconnected]);
  useEffect(() => {
    if (!waiting) return;
    const again = () => void deliver(client);
    const timer = setInterval(again, RETRY_MS);
    addEventListener("online", again);
    return () => {
      clearInterval(timer);
      removeEventListener("online", again);
    };
  }, [client, waiting]);
}

function deliver(client: Client): Promise<void> {
  delivering ??= deliverAll(client).finally(() => { delivering = null; });
  return delivering;
}

/** Deliver the messages in their order, until the server cannot be reached. */
async function deliverAll(client: Client): Promise<void> {
  let late = 0;
  for (let item = next(); item && (await deliverOne(client, item)); item = next()) late += Number(item.waiting);
  if (late > 0) toast(t("notice.backOnline", { count: late }));
}

function next(): Outgoing | undefined {
  return outbox.get().find(isPending);
}

function isPending({ problem, messageId }: Outgoing): boolean {
  return !problem && !messageId;
}

/** Return whether the server has responded. */
async function deliverOne(client: Client, { key, to, draft, settings }: Outgoing): Promise<boolean> {
  const content = { text: draft.text, attachmentIds: draft.files.map((file) => file.id), conversationId: to };
  const { options } = settings;
  const input = { ...content, ...(to ? options && { options } : settings), idempotencyKey: key, whenBusy: "QUEUE" as const };
  const timeout = new Promise<null>((resolve) => setTimeout(resolve, TIMEOUT_MS, null));
  const result = await Promise.race([client.mutation(SendDocument, { input }).toPromise(), timeout]);
  if (!result || result.error?.networkError) {
    change((items) => items.map((item) => (isPending(item) ? { ...item, waiting: true } : item)));
    return false;
  }
  const sent = result.data?.sendMessage;
  if (sent?.__typename !== "SendMessagePayload") {
    update(key, { problem: mutationProblem(result) ?? problemOf(t("problem.internal")) });
    return true;
  }
  const id = sent.conversation.id;
  const messageId = sent.userMessage.id;
  if (!to) assign(id, key);
  if (!to && currentId() === null) {
    moveNewUploads(id);
    moveNewDraft(id);
    show(id);
  }
  if (currentId() !== id) remove(key);
  else if (to) update(key, { messageId });
  else outbox.set(outbox.get().map((item) => (item.key === key ? { ...item, messageId } : item)));
  return true;
}

/**
 * Give the messages to a new conversation its id. In the storage, the message that has created it stays as it was sent until
 * it is read. If the page is refreshed before the browser knows the new address, the old one opens, and the message is
 * repeated with the same idempotency key, which shows the conversation.
 */
function assign(id: string, key: string): void {
  const withId = (item: Outgoing) => (item.to === null ? { ...item, to: id } : item);
  save(read().map((item) => (item.key === key ? item : withId(item))));
  outbox.set(outbox.get().map(withId));
}

function update(key: string, changes: Partial<Outgoing>): void {
  change((items) => items.map((item) => (item.key === key ? { ...item, ...changes } : item)));
}

/** Change the messages of this tab and those in the storage, to which other tabs may have added some. */
function change(work: (items: readonly Outgoing[]) => readonly Outgoing[]): void {
  save(work(read()).filter((item) => !item.messageId));
  outbox.set(work(outbox.get()));
}

function save(items: readonly Outgoing[]): void {
  try {
    localStorage.setItem(storageKey(), JSON.stringify(items));
  } catch {
    // Storage is full or forbidden. The messages then last until the page is closed.
  }
}

function load(): void {
  const shown = owner === subject() ? outbox.get().filter((item) => item.messageId) : [];
  owner = subject();
  outbox.set([...shown, ...read().filter((item) => !shown.some(({ key }) => key === item.key))]);
}

function read(): readonly Outgoing[] {
  try {
    const items = (JSON.parse(localStorage.getItem(storageKey()) ?? "[]")) as readonly Outgoing[];
    return items.map((item) => (Date.now() - item.writtenAt < MAX_AGE_MS ? item : { ...item, problem: problemOf(t("outgoing.old")) }));
  } catch {
    return [];
  }
}

function storageKey(): string {
  return `tertulia:outbox:${subject()}`;
}
