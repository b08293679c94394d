import { createClient } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "urql";

/** A server with users (`TERTULIA_AUTH=password` or `oidc`) wants a token; where there is none, none is sent. */
function signed(): Record<string, string> {
  const token = localStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

let silence: ReturnType<typeof setTimeout> | undefined;

const socket = createClient({
  url: () => new URL("/graphql", location.href.replace(/^http/, "ws")).href,
  connectionParams: signed,
  // Open while something is followed. Lost, it is tried again for ever, with pauses that grow to ten seconds.
  lazy: true,
  retryAttempts: Infinity,
  shouldRetry: () => true,
  retryWait: (retries) => {
    const longest = Math.min(500 * 2 ** retries, 10_000);
    return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
  },
  // A laptop that wakes, or a network that changes, leaves a socket that only looks open.
  keepAlive: 12_000,
  on: {
    ping: (received) => {
      if (!received) silence = setTimeout(() => socket.terminate(), 5_000);
    },
    pong: () => clearTimeout(silence),
    closed: () => clearTimeout(silence),
  },
});

export const client = new Client({
  url: "/graphql",
  preferGetMethod: false,
  fetchOptions: () => ({ headers: signed() }),
  exchanges: [
    // Reads a conversation again behind each mutation that gives one back.
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables: variables ?? {} }, sink) }),
      }),
    }),
  ],
});
