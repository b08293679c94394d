import { createContext, useContext, useEffect, useMemo, type ReactNode } from "react";
import type { TertuliaClient } from "./client.ts";
import { createOutbox, isPending, type Outbox } from "./outbox.ts";
import { useStore } from "./store.ts";

const RETRY_MS = 4_000;

interface Connected {
  readonly client: TertuliaClient;
  readonly outbox: Outbox;
}

const Context = createContext<Connected | null>(null);

export interface TertuliaProviderProps {
  readonly client: TertuliaClient;
  /** The messages that are being sent. Default: an outbox in memory. */
  readonly outbox?: Outbox;
  readonly children?: ReactNode;
}

/** Let the hooks below use a client, and deliver the messages that they send. */
export function TertuliaProvider({ client, outbox, children }: TertuliaProviderProps) {
  const connected = useMemo(() => ({ client, outbox: outbox ?? createOutbox() }), [client, outbox]);
  useDelivery(connected);
  return <Context.Provider value={connected}>{children}</Context.Provider>;
}

/** Return the client of the `TertuliaProvider`. */
export function useTertulia(): TertuliaClient {
  return useConnected().client;
}

/** Return the client and the outbox of the `TertuliaProvider`. */
export function useConnected(): Connected {
  const connected = useContext(Context);
  if (!connected) throw new Error("A hook of @tertulia/react was called outside of a TertuliaProvider.");
  return connected;
}

/** Return how many times the socket has reconnected. Data that was read before may be outdated. */
export function useReconnects(): number {
  return useStore(useTertulia().socket.reconnects);
}

/** Return whether the connection is lost. It is restored by itself. */
export function useDisconnected(): boolean {
  return useStore(useTertulia().socket.disconnected);
}

/** Deliver messages at the beginning, when the connection returns, and repeatedly while one is waiting. */
function useDelivery({ client, outbox }: Connected): void {
  const reconnects = useStore(client.socket.reconnects);
  const waiting = useStore(outbox.items).some((item) => item.waiting && isPending(item));
  useEffect(() => void outbox.deliver(client), [client, outbox, reconnects]);
  useEffect(() => {
    if (!waiting) return;
    const again = () => void outbox.deliver(client);
    const timer = setInterval(again, RETRY_MS);
    addEventListener("online", again);
    return () => {
      clearInterval(timer);
      removeEventListener("online", again);
    };
  }, [client, outbox, waiting]);
}
