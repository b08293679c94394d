import { at } from "./base";
import { authExchange } from "@urql/exchange-auth";
import { createClient, type Client as Socket } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "urql";
import { authorization, doubt, expired, refresh, session } from "./session";
import { store } from "./store";

/** How many times the socket was there again after it was lost: what was read before may be old. */
export const returns = store(0);
/** Whether the socket is lost just now. */
export const lost = store(false);

const PING = 12_000;
const PONG = 5_000;
const LONGEST_WAIT = 8_000;

export interface Connection {
  readonly client: Client;
  close(): void;
}

/** Connect as whoever is signed in; another sign-in needs another connection, which knows nothing of this one. */
export function connect(): Connection {
  const socket = openSocket();
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
  return { client, close: () => void socket.dispose() };
}

function openSocket(): Socket {
  const address = new URL(at("graphql"), location.href.replace(/^http/, "ws"));
  let silence: ReturnType<typeof setTimeout> | undefined;
  const socket = createClient({
    url: address.href,
    connectionParams: authorization,
    keepAlive: PING,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (retries) => soon(Math.min(250 * 2 ** retries, LONGEST_WAIT) * (0.5 + Math.random() / 2)),
    on: {
      // A laptop that wakes, or a network that changes, leaves a socket that only looks open.
      ping(received) {
        if (!received) silence = setTimeout(() => socket.terminate(), PONG);
      },
      pong(received) {
        if (received) clearTimeout(silence);
      },
      connected(_socket, _payload, again) {
        lost.set(false);
        if (again) returns.set(returns.get() + 1);
      },
      closed(event) {
        clearTimeout(silence);
        const { code } = event as CloseEvent;
        // graphql-ws says 1000 where it closed a socket that nobody used.
        lost.set(code !== 1000);
        if (code === 4403) doubt();
      },
    },
  });
  return socket;
}

/** Wait so many milliseconds, but no longer than until the network is back or somebody looks. */
function soon(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const over = new AbortController();
    const go = () => {
      over.abort();
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(go, milliseconds);
    addEventListener("online", go, over);
    document.addEventListener("visibilitychange", go, over);
  });
}
