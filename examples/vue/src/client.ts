import { createClient } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "@urql/vue";

/** Headers with the token, which a server with users requires (`TERTULIA_AUTH=password` or `oidc`). */
function signed(): Record<string, string> {
  const token = localStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

let silence: ReturnType<typeof setTimeout> | undefined;

const socket = createClient({
  url: () => new URL("/graphql", location.href.replace(/^http/, "ws")).href,
  connectionParams: signed,
  // The socket is open while an answer is followed. It reconnects without limit, with delays that grow to ten seconds.
  lazy: true,
  retryAttempts: Infinity,
  shouldRetry: () => true,
  retryWait: (retries) => {
    const longest = Math.min(500 * 2 ** retries, 10_000);
    return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
  },
  // After a laptop wakes or a network changes, a dead socket can look open.
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
    // Reloads a conversation after each mutation that returns one.
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables: variables ?? {} }, sink) }),
      }),
    }),
  ],
});
