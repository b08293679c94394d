import { at } from "./base";
import { authExchange } from "@urql/exchange-auth";
import { createClient, MessageType, type Client as Socket } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "urql";
import { authorization, expired, refresh, requireRefresh, session } from "./session";
import { store } from "./store";

/** How many times the socket has reconnected. Data that was read before may be outdated. */
export const returns = store(0);
/** Whether the socket is disconnected. */
export const lost = store(false);

const PING_INTERVAL_MS = 12_000;
const PONG_TIMEOUT_MS = 5_000;
/** The same after the network has changed, when a silent socket is likely to be dead. */
const PROBE_TIMEOUT_MS = 1_000;
const MAX_RETRY_MS = 8_000;

export interface Connection {
  readonly client: Client;
  close(): void;
}

/** Connect with the current sign-in. Each sign-in needs its own connection, which shares no cache with the others. */
export function connect(): Connection {
  const listeners = new AbortController();
  const socket = openSocket(listeners);
  const client = new Client({
    url: at("graphql"),
    preferGetMethod: false,
    exchanges: [
      cacheExchange,
      authExchange(async (with_) => ({
        addAuthToOperation(operation) {
          const signed = session.get();
          return signed ? with_.appendHeaders(operation, { Authorization: `Bearer ${signed.access}` }) : operation;
        },
        willAuthError: expired,
        didAuthError: ({ response }) => (response as Response | undefined)?.status === 401,
        refreshAuth: refresh,
      })),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = "", variables }) => ({
          subscribe: ({ next, ...sink }) => ({
            unsubscribe: socket.subscribe(
              { query, variables: variables ?? {} },
              { ...sink, next: ({ data = null, errors = [] }) => next({ data, ...(errors.length > 0 && { errors }) }) },
            ),
          }),
        }),
      }),
    ],
  });
  return { client, close };

  function close() {
    listeners.abort();
    // It fails if the socket is being opened and the server refuses it.
    void Promise.resolve(socket.dispose()).catch(() => undefined);
  }
}

/** Open the socket. When the network changes, find out at once whether the socket still works. */
function openSocket({ signal }: AbortController): Socket {
  const address = new URL(at("graphql"), location.href.replace(/^http/, "ws"));
  let open: WebSocket | null = null;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const terminateAfter = (milliseconds: number) => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.terminate(), milliseconds);
  };
  const probe = () => {
    if (open?.readyState !== WebSocket.OPEN) return;
    open.send(JSON.stringify({ type: MessageType.Ping }));
    terminateAfter(PROBE_TIMEOUT_MS);
  };
  for (const event of ["offline", "online"]) addEventListener(event, probe, { signal });
  const socket = createClient({
    url: address.href,
    connectionParams: authorization,
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
      connected(opened, _payload, again) {
        open = opened as WebSocket;
        lost.set(false);
        if (again) returns.set(returns.get() + 1);
      },
      closed(event) {
        clearTimeout(silence);
        const { code } = event as CloseEvent;
        // graphql-ws closes a socket that has no subscriptions with 1000.
        lost.set(code !== 1000);
        if (code === 4403) requireRefresh();
      },
    },
  });
  return socket;
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
    addEventListener("online", finish, listeners);
    document.addEventListener("visibilitychange", finish, listeners);
  });
}
