import { createClient, MessageType, type Client, type FormattedExecutionResult, type Sink } from "graphql-ws";
import { store, type Store } from "./store.ts";

const PING_INTERVAL_MS = 12_000;
const PONG_TIMEOUT_MS = 5_000;
/** The same after the network has changed, when a silent socket is likely to be dead. */
const PROBE_TIMEOUT_MS = 1_000;
const MAX_RETRY_MS = 8_000;

export interface SocketOptions {
  /** The address of GraphQL, such as `https://chat.example.com/graphql`. */
  readonly url: () => string;
  /** Return the parameters of a connection. */
  readonly params: () => Promise<Record<string, string>>;
  /** Called when the server has refused the parameters. */
  readonly onRefused?: (() => void) | undefined;
  readonly WebSocket?: typeof WebSocket | undefined;
}

/** A connection for subscriptions. It is opened with the first one, and reopened until it is closed. */
export interface Socket {
  /** Subscribe until the returned function is called. After a lost connection, it subscribes again with the same variables. */
  subscribe(operation: { query: string; variables: Record<string, unknown> }, sink: Sink<FormattedExecutionResult>): () => void;
  /** How many times the socket has reconnected. Data that was read before may be outdated. */
  readonly reconnects: Store<number>;
  /** Whether the socket is disconnected, although there are subscriptions. */
  readonly disconnected: Store<boolean>;
  close(): void;
}

/** Return a socket. It notices quickly that the network has changed, and whether the connection is dead. */
export function createSocket(options: SocketOptions): Socket {
  const listeners = new AbortController();
  const reconnects = store(0);
  const disconnected = store(false);
  let client: Client | null = null;
  return {
    reconnects,
    disconnected,
    subscribe(operation, sink) {
      client ??= open(options, { reconnects, disconnected }, listeners.signal);
      return client.subscribe(operation, sink);
    },
    close() {
      listeners.abort();
      // It fails if the socket is being opened and the server refuses it.
      void Promise.resolve(client?.dispose()).catch(() => undefined);
    },
  };
}

function open(options: SocketOptions, { reconnects, disconnected }: Pick<Socket, "reconnects" | "disconnected">, signal: AbortSignal): Client {
  let opened: WebSocket | null = null;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const terminateAfter = (milliseconds: number) => {
    clearTimeout(silence);
    silence = setTimeout(() => client.terminate(), milliseconds);
  };
  const probe = () => {
    if (opened?.readyState !== 1) return;
    opened.send(JSON.stringify({ type: MessageType.Ping }));
    terminateAfter(PROBE_TIMEOUT_MS);
  };
  for (const event of ["offline", "online"]) globalThis.addEventListener?.(event, probe, { signal });
  const client = createClient({
    url: () => options.url().replace(/^http/, "ws"),
    connectionParams: options.params,
    ...(options.WebSocket && { webSocketImpl: options.WebSocket }),
    keepAlive: PING_INTERVAL_MS,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (retries) => waitForRetry(Math.min(250 * 2 ** retries, MAX_RETRY_MS) * (0.5 + Math.random() / 2)),
    on: {
      // After a laptop wakes or a network changes, a dead socket can look open.
      ping(received) {
        if (!received) terminateAfter(PONG_TIMEOUT_MS);
      },
      pong(received) {
        if (received) clearTimeout(silence);
      },
      connected(socket, _payload, again) {
        opened = socket as WebSocket;
        disconnected.set(false);
        if (again) reconnects.set(reconnects.get() + 1);
      },
      closed(event) {
        clearTimeout(silence);
        const { code } = event as CloseEvent;
        // graphql-ws closes a socket that has no subscriptions with 1000.
        disconnected.set(code !== 1000);
        if (code === 4403) options.onRefused?.();
      },
    },
  });
  return client;
}

/** Wait this long, or until the network returns or the page becomes visible. */
function waitForRetry(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const listeners = new AbortController();
    const finish = () => {
      listeners.abort();
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    globalThis.addEventListener?.("online", finish, listeners);
    globalThis.document?.addEventListener("visibilitychange", finish, listeners);
  });
}
