// Follows an answer over HTTP with the unmodified clients graphql-sse, Apollo Client and urql.
// Usage: node streams.mjs ADDRESS/graphql
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { Client, fetchExchange } from "@urql/core";
import { createClient as createSse } from "graphql-sse";

const url = process.argv[2];
const FOLLOW = `subscription ($id: ID!) { generationEvents(generationId: $id) {
  __typename sequence
  ... on MessageSnapshot { message { text } }
  ... on TextDelta { offset text }
} }`;
const SEND = `mutation ($text: String!) { sendMessage(input: { text: $text }) {
  ... on SendMessagePayload { generation { id } } } }`;

async function send(text) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: SEND, variables: { text } }),
  });
  return (await response.json()).data.sendMessage.generation.id;
}

function reading() {
  const seen = { text: "", last: "", events: 0 };
  const take = (event) => {
    seen.events += 1;
    seen.last = event.__typename;
    if (event.__typename === "MessageSnapshot") seen.text = event.message.text;
    if (event.__typename === "TextDelta") seen.text = seen.text.slice(0, event.offset) + event.text;
  };
  return { seen, take };
}

async function bySse(id) {
  const client = createSse({ url, retryAttempts: 0 });
  const { seen, take } = reading();
  await new Promise((resolve, reject) =>
    client.subscribe({ query: FOLLOW, variables: { id } }, {
      next: (result) => take(result.data.generationEvents), error: reject, complete: resolve,
    }));
  const viewer = await new Promise((resolve, reject) =>
    client.subscribe({ query: "{ viewer { name } }" }, { next: resolve, error: reject, complete: () => {} }));
  client.dispose();
  return { ...seen, viewer: viewer.data.viewer.name };
}

async function byApollo(id) {
  const client = new ApolloClient({ link: new HttpLink({ uri: url }), cache: new InMemoryCache() });
  const { seen, take } = reading();
  await new Promise((resolve, reject) =>
    client.subscribe({ query: gql(FOLLOW), variables: { id }, fetchPolicy: "no-cache" }).subscribe({
      next: (result) => (result.error ? reject(result.error) : take(result.data.generationEvents)),
      error: reject, complete: resolve,
    }));
  const viewer = await client.query({ query: gql("{ viewer { id name } }") });
  return { ...seen, viewer: viewer.data.viewer.name };
}

async function byUrql(id) {
  const client = new Client({ url, exchanges: [fetchExchange], fetchSubscriptions: true, preferGetMethod: false });
  const { seen, take } = reading();
  await new Promise((resolve, reject) =>
    client.subscription(FOLLOW, { id }).subscribe((result) => {
      if (result.error) reject(result.error);
      else {
        take(result.data.generationEvents);
        if (/Completed|Stopped|Failed/.test(result.data.generationEvents.__typename)) resolve();
      }
    }));
  const viewer = await client.query("{ viewer { name } }", {}).toPromise();
  return { ...seen, viewer: viewer.data.viewer.name };
}

const found = {};
for (const [name, follow] of Object.entries({ sse: bySse, apollo: byApollo, urql: byUrql })) {
  found[name] = await follow(await send("/simulate long 60"));
}
console.log(JSON.stringify(found));
