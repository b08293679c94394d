import { createClient, type Result, type TertuliaClient } from "@tertulia/react";
import { authExchange } from "@urql/exchange-auth";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "urql";
import { at, BASE } from "./base";
import { accessToken, expired, refresh, requireRefresh, session } from "./session";
import { store } from "./store";

/** How many times the socket has reconnected. Data that was read before may be outdated. */
export const returns = store(0);
/** Whether the socket is disconnected. */
export const lost = store(false);

export interface Connection {
  readonly client: Client;
  readonly tertulia: TertuliaClient;
  close(): void;
}

/** Connect with the current sign-in. Each sign-in needs its own connection, which shares no cache with the others. */
export function connect(): Connection {
  const execute = (text: string, variables: Record<string, unknown>) => executeWithCache(client, text, variables);
  const tertulia = createClient({ url: BASE, token: accessToken, onRefused: requireRefresh, execute });
  const { reconnects, disconnected, subscribe } = tertulia.socket;
  reconnects.subscribe(() => returns.set(returns.get() + 1));
  disconnected.subscribe(() => lost.set(disconnected.get()));
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
            unsubscribe: subscribe(
              { query, variables: variables ?? {} },
              { ...sink, next: ({ data = null, errors = [] }) => next({ data, ...(errors.length > 0 && { errors }) }) },
            ),
          }),
        }),
      }),
    ],
  });
  return { client, tertulia, close: tertulia.close };
}

/** Execute an operation of `@tertulia/react` with the page's cache, so that the page shows what it changes. */
async function executeWithCache(client: Client, text: string, variables: Record<string, unknown>): Promise<Result> {
  const isQuery = text.trimStart().startsWith("query");
  const { data, error } = await (isQuery
    ? client.query<unknown>(text, variables, { requestPolicy: "network-only" })
    : client.mutation<unknown>(text, variables));
  if (error?.networkError) throw error.networkError;
  const retryAfterSeconds = Number((error?.response as Response | undefined)?.headers.get("retry-after") ?? 0);
  return { data, errors: error?.graphQLErrors, retryAfterSeconds };
}
