// Composes Tertulia with a second subgraph by the libraries of Apollo and WunderGraph, and asks a gateway of the example.
// Arguments: the address of Tertulia, an access token, and the folder of the example.
import { composeServices } from "@apollo/composition";
import { federateSubgraphs, ROUTER_COMPATIBILITY_VERSION_ONE } from "@wundergraph/composition";
import { parse } from "graphql";

const [tertulia, token, example] = process.argv.slice(2);
const { start } = await import(`${example}/gateway.mjs`);
const { typeDefs } = await import(`${example}/orders.mjs`);

const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };

function post(address, query, variables, accept = "application/json") {
  const body = JSON.stringify({ query, variables });
  return fetch(`${address}/graphql`, { method: "POST", headers: { ...headers, accept }, body });
}

async function ask(address, query, variables) {
  return (await post(address, query, variables)).json();
}

async function events(address, query, variables) {
  const text = await (await post(address, query, variables, "text/event-stream")).text();
  const blocks = text.split("\n\n").filter((block) => /^event: next/m.test(block));
  return blocks.map((block) => JSON.parse(/^data: (.*)$/m.exec(block)[1]));
}

const { sdl } = (await ask(tertulia, "{ _service { sdl } }")).data._service;
const subgraphs = [
  { name: "tertulia", url: `${tertulia}/graphql`, definitions: parse(sdl) },
  { name: "orders", url: "http://orders.example.com/", definitions: parse(typeDefs) },
];
const apollo = composeServices(subgraphs.map(({ definitions, ...more }) => ({ ...more, typeDefs: definitions })));
const cosmo = federateSubgraphs({ subgraphs, version: ROUTER_COMPATIBILITY_VERSION_ONE });

const { gateway, orders, runtime } = await start({ tertulia, token, port: 0, ordersPort: 0 });
const supergraph = `http://127.0.0.1:${gateway.address().port}`;
const SEND = `mutation { sendMessage(input: { text: "Where is my lamp?", externalId: "order-1" }) {
  ... on SendMessagePayload { generation { id } conversation { order { product } } }
} }`;
const FOLLOW = `subscription ($id: ID!) { generationEvents(generationId: $id) { __typename } }`;
const ORDERS = `{ viewer { name orders { product conversation { title messages { edges { node { text } } } } } } }`;
const sent = await ask(supergraph, SEND);
const { generation } = sent.data?.sendMessage ?? {};
const followed = await events(supergraph, FOLLOW, { id: generation?.id });
const viewer = await ask(supergraph, ORDERS);
delete headers.authorization;
const stranger = await ask(supergraph, ORDERS);
gateway.close();
orders.close();
await runtime[Symbol.asyncDispose]();
console.log(
  JSON.stringify({
    problems: [...(apollo.errors ?? []), ...(cosmo.errors ?? []), ...cosmo.warnings].map(({ message }) => message),
    hasSupergraph: [Boolean(apollo.supergraphSdl), cosmo.success],
    sent,
    followed,
    viewer,
    stranger,
  }),
);
process.exit(0);
