import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import { possibleTypes } from "./possibleTypes";

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

const http = new SetContextLink(({ headers }) => ({ headers: { ...headers, ...signed() } })).concat(
  new HttpLink({ uri: "/graphql" }),
);

const cache = new InMemoryCache({
  possibleTypes,
  typePolicies: {
    Query: {
      fields: {
        // A conversation that a mutation brought need not be asked for.
        conversation: (found, { args, toReference }) =>
          found === undefined ? toReference({ __typename: "Conversation", id: args?.["id"] }) : found,
      },
    },
    Conversation: { fields: { messages: relayStylePagination() } },
    // An event replaces the one before it.
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
