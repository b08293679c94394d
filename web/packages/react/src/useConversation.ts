import { useCallback, useEffect, useRef, useState } from "react";
import type { TertuliaClient } from "./client.ts";
import { MESSAGES } from "./documents.ts";
import { TertuliaError } from "./errors.ts";
import type { Entry } from "./listing.ts";
import type { MessagesQuery, TurnFragment } from "./operations.ts";
import type { Outgoing } from "./outbox.ts";
import { useReconnects, useTertulia } from "./provider.tsx";
import { useConversationChanges } from "./useConversations.ts";
import { useOutgoing } from "./useSend.ts";

const PAGE = 40;
const NONE: Read = { id: null, conversation: null, messages: [], before: null };

/** A message of a conversation. */
export type Message = TurnFragment;

export interface Conversation {
  /** Null until it is read, and if there is none. */
  readonly conversation: Entry | null;
  /** The messages of the active branch that are loaded, oldest first. */
  readonly messages: readonly Message[];
  /** The messages that are being sent, until they are among `messages`. */
  readonly outgoing: readonly Outgoing[];
  /** The generation that is being written, for `useAnswer`; null if there is none. */
  readonly answering: string | null;
  readonly loading: boolean;
  /** Why the conversation cannot be read: `NOT_FOUND`, `UNREACHABLE`, or a code of the server. */
  readonly error: TertuliaError | null;
  /** Load earlier messages; null if all are loaded. */
  readonly earlier: (() => Promise<void>) | null;
  /** Read the conversation again. It is also read again after a change on another device, and after a lost connection. */
  readonly refresh: () => Promise<void>;
}

interface Read {
  readonly id: string | null;
  readonly conversation: Entry | null;
  readonly messages: readonly Message[];
  /** The cursor before which earlier messages end; null if all are loaded. */
  readonly before: string | null;
}

/** The requests that read a conversation, one after another. */
interface Reading {
  readonly id: string;
  readonly client: TertuliaClient;
  /** Whether it changed after the current request was sent. */
  again: boolean;
  done: Promise<void>;
}

type Found = NonNullable<MessagesQuery["conversation"]>;

function isRunning({ generation }: Message): boolean {
  return generation !== null && !["COMPLETED", "STOPPED", "FAILED"].includes(generation.status);
}

/** Return what is loaded after the last page was read again. Earlier messages are kept if the page continues them. */
function refreshed(known: Read, found: Found): Read {
  const { edges, pageInfo } = found.messages;
  const messages = edges.map(({ node }) => node);
  const place = known.id === found.id ? known.messages.findIndex(({ id }) => id === messages[0]?.id) : -1;
  const kept = place > 0 ? known.messages.slice(0, place) : [];
  return { id: found.id, conversation: found, messages: [...kept, ...messages], before: kept.length > 0 ? known.before : cursor(pageInfo) };
}

function cursor({ hasPreviousPage, startCursor }: Found["messages"]["pageInfo"]): string | null {
  return hasPreviousPage ? startCursor : null;
}

/** Read a conversation, its messages, and what is being sent to it; null is a new conversation. */
export function useConversation(id: string | null): Conversation {
  const client = useTertulia();
  const [known, setKnown] = useState<Read>(NONE);
  const [error, setError] = useState<{ id: string; error: TertuliaError } | null>(null);
  const reading = useRef<Reading | null>(null);
  const refresh = useCallback(async () => {
    if (id === null) return;
    // Several changes often arrive at once. One more request after the current one reads them all.
    if (reading.current?.id === id && reading.current.client === client) {
      reading.current.again = true;
      return reading.current.done;
    }
    const current: Reading = { id, client, again: false, done: Promise.resolve() };
    reading.current = current;
    current.done = (async () => {
      do {
        current.again = false;
        const outcome = await read(client.request(MESSAGES, { id, last: PAGE }));
        // Another conversation is shown now.
        if (reading.current !== current) return;
        setError(outcome instanceof TertuliaError ? { id, error: outcome } : null);
        if (!(outcome instanceof TertuliaError)) setKnown((before) => refreshed(before, outcome));
      } while (current.again);
    })().finally(() => {
      if (reading.current === current) reading.current = null;
    });
    return current.done;
  }, [client, id]);
  const reconnects = useReconnects();
  useEffect(() => void refresh(), [refresh, reconnects]);
  useConversationChanges((change) => {
    if (change.conversationId === id) void refresh();
  });
  const current = known.id === id ? known : NONE;
  const earlier = async () => {
    if (id === null || current.before === null) return;
    const outcome = await read(client.request(MESSAGES, { id, last: PAGE, before: current.before }));
    if (outcome instanceof TertuliaError) return setError({ id, error: outcome });
    const { edges, pageInfo } = outcome.messages;
    const added = edges.map(({ node }) => node);
    setKnown((now) => (now.id === id && now.before === current.before ? { ...now, messages: [...added, ...now.messages], before: cursor(pageInfo) } : now));
  };
  const problem = error?.id === id ? error.error : null;
  return {
    conversation: current.conversation,
    messages: current.messages,
    outgoing: useOutgoing(id, current.messages),
    // When several generations are queued, the first is the one that is being written.
    answering: current.messages.find(isRunning)?.generation?.id ?? null,
    loading: id !== null && current.conversation === null && problem === null,
    error: problem,
    earlier: current.before === null ? null : earlier,
    refresh,
  };
}

/** Return the conversation of a query, or why there is none. */
async function read(data: Promise<MessagesQuery>): Promise<Found | TertuliaError> {
  try {
    const { conversation } = await data;
    const missing = { code: "NOT_FOUND", message: "The conversation does not exist.", retryAt: null, resetsAt: null, traceId: null };
    return conversation ?? new TertuliaError(missing);
  } catch (error) {
    if (error instanceof TertuliaError) return error;
    throw error;
  }
}
