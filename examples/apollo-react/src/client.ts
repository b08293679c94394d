import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import { possibleTypes } from "./possibleTypes";

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

const http = new SetContextLink(({ headers }) => ({ headers: { ...headers, ...signed() } })).concat(
  new HttpLink({ uri: "/graphql" }),
);

const cache = new InMemoryCache({
  possibleTypes,
  typePolicies: {
    Query: {
      fields: {
        // A conversation that a mutation returned is read from the cache.
        conversation: (existing, { args, toReference }) =>
          existing === undefined ? toReference({ __typename: "Conversation", id: args?.["id"] }) : existing,
      },
    },
    Conversation: { fields: { messages: relayStylePagination() } },
    // Each event replaces the previous one.
    Subscription: { fields: { generationEvents: { merge: false } } },
  },
});

export const client = new ApolloClient({
  cache,
  link: ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    http,
  ),
});
