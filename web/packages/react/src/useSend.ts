import { useCallback, useEffect } from "react";
import { regenerate, type Draft, type MessageSettings, type Outgoing, type Sent } from "./outbox.ts";
import { useConnected } from "./provider.tsx";
import { useStore } from "./store.ts";

export interface Sending {
  /** Send a message. The result is null if the server has refused it; then its `Outgoing.problem` is the reason. */
  readonly send: (draft: Draft | string, settings?: MessageSettings) => Promise<Sent | null>;
  /** Retry a message that the server has refused, by its key. */
  readonly retry: (key: string) => Promise<void>;
  /** Remove a message that has not been sent, by its key. */
  readonly remove: (key: string) => void;
  /** Ask for another version of an answer, by the id of its message. Rejects with a `TertuliaError`. */
  readonly regenerate: (messageId: string) => Promise<Sent>;
}

/**
 * Send messages to a conversation; null creates one. A message is repeated with the same idempotency key until the server
 * responds. If the conversation is answering, the message waits for its turn, unless the settings contain another `whenBusy`.
 */
export function useSend(conversationId: string | null): Sending {
  const { client, outbox } = useConnected();
  const send = useCallback((draft: Draft | string, settings?: MessageSettings) => {
    return outbox.send(client, conversationId, typeof draft === "string" ? { text: draft, files: [] } : draft, settings);
  }, [client, outbox, conversationId]);
  return {
    send,
    retry: useCallback((key) => outbox.retry(client, key), [client, outbox]),
    remove: outbox.remove,
    regenerate: useCallback((messageId) => regenerate(client, messageId), [client]),
  };
}

/** Return the messages that are on their way to a conversation, and are not among its messages yet. */
export function useOutgoing(conversationId: string | null, messages: readonly { readonly id: string }[]): readonly Outgoing[] {
  const { outbox } = useConnected();
  const all = useStore(outbox.items);
  const isRead = ({ messageId }: Outgoing) => messages.some(({ id }) => id === messageId);
  const read = all.find(isRead)?.key;
  // After an edit, the message is not in the branch. It would then be shown as unsent.
  useEffect(() => {
    if (read) outbox.remove(read);
  }, [outbox, read]);
  return all.filter((item) => item.to === conversationId && !isRead(item));
}
