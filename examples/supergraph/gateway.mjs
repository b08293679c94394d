// Composes the supergraph of Tertulia and the orders, and serves it.
import { once } from "node:events";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

import { createGatewayRuntime } from "@graphql-hive/gateway-runtime";
import { composeServices } from "@theguild/federation-composition";
import { parse } from "graphql";

import { serveOrders, typeDefs } from "./orders.mjs";

const SDL = "query { _service { sdl } }";

/** Return the schema of Tertulia as a subgraph. `token` is only needed if its users sign in. */
async function tertuliaSdl(tertulia, token) {
  const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(`${tertulia}/graphql`, { method: "POST", headers, body: JSON.stringify({ query: SDL }) });
  const { data, errors } = await response.json();
  if (!data) throw new Error(`${errors[0].message} Start Tertulia with TERTULIA_FEDERATION=true.`);
  return data._service.sdl;
}

/** Start the subgraph of the orders and the gateway; return their servers. */
export async function start({ tertulia, token, port, ordersPort }) {
  const sdl = await tertuliaSdl(tertulia, token);
  const orders = serveOrders(ordersPort, tertulia);
  await once(orders, "listening");
  const { supergraphSdl, errors } = composeServices([
    { name: "tertulia", url: `${tertulia}/graphql`, typeDefs: parse(sdl) },
    { name: "orders", url: `http://127.0.0.1:${orders.address().port}/`, typeDefs: parse(typeDefs) },
  ]);
  if (errors?.length) throw new Error(errors.map(({ message }) => message).join("\n"));
  const runtime = createGatewayRuntime({
    supergraph: supergraphSdl,
    graphqlEndpoint: "/graphql",
    logging: "warn",
    // Both subgraphs authenticate the user. Subscriptions are requests too: they reach Tertulia as server-sent events.
    propagateHeaders: {
      fromClientToSubgraphs: ({ request }) => ({ authorization: request.headers.get("authorization") ?? undefined }),
    },
  });
  const gateway = createServer(runtime).listen(port, "127.0.0.1");
  await once(gateway, "listening");
  return { gateway, orders, runtime };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { TERTULIA_URL: tertulia = "http://127.0.0.1:8000", TERTULIA_TOKEN: token } = process.env;
  const { gateway } = await start({ tertulia, token, port: 4000, ordersPort: 4001 });
  // The runtime has handlers of these signals, which do not end the process.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
  console.log(`The supergraph: http://127.0.0.1:${gateway.address().port}/graphql`);
}
