// A small subgraph of a shop. It extends Tertulia's `Viewer` with orders, and `Conversation` with the order it is about.
import { createServer } from "node:http";

import { buildASTSchema, parse } from "graphql";
import { createHandler } from "graphql-http/lib/use/http";

// A subgraph has these in addition.
const FEDERATION = /* GraphQL */ `
  scalar _Any
  union _Entity = Order | Viewer | Conversation

  extend type Query {
    _entities(representations: [_Any!]!): [_Entity]!
  }
`;

export const typeDefs = /* GraphQL */ `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.4", import: ["@key"])

  type Query {
    "One of the viewer's orders."
    order(id: ID!): Order
  }

  type Order @key(fields: "id") {
    id: ID!
    product: String!
    "The conversation that was created with the order's id as \`externalId\`."
    conversation: Conversation
  }

  type Viewer @key(fields: "id") {
    id: ID!
    orders: [Order!]!
  }

  type Conversation @key(fields: "externalId") {
    externalId: String
    order: Order
  }
`;

const PRODUCTS = ["Lamp", "Chair"];
const VIEWER = "query { viewer { id } }";

/** Return the orders of the user whom Tertulia authenticates. A real shop reads its own database and its own tokens. */
async function ordersOf(tertulia, authorization) {
  const headers = { "content-type": "application/json", ...(authorization ? { authorization } : {}) };
  const response = await fetch(`${tertulia}/graphql`, { method: "POST", headers, body: JSON.stringify({ query: VIEWER }) });
  const viewer = (await response.json()).data?.viewer;
  if (!viewer) throw new Error("Not signed in.");
  return PRODUCTS.map((product, index) => ({ id: `order-${index + 1}`, product, owner: viewer.id }));
}

/** Return an order with a field for its conversation; null if the viewer has no such order. */
async function orderOf(id, { orders }) {
  const order = (await orders()).find((order) => order.id === id);
  return order ? { ...order, __typename: "Order", conversation: { externalId: id } } : null;
}

// For each entity: its fields, by the key that the router passes. A router passes any key, so they check the owner.
const entities = {
  Order: ({ id }, context) => orderOf(id, context),
  Viewer: ({ id }) => ({
    id,
    orders: async (_, context) => {
      const orders = (await context.orders()).filter((order) => order.owner === id);
      return orders.map((order) => orderOf(order.id, context));
    },
  }),
  Conversation: ({ externalId }) => ({ externalId, order: (_, context) => orderOf(externalId, context) }),
};

const rootValue = {
  order: ({ id }, context) => orderOf(id, context),
  _entities: ({ representations }, context) =>
    representations.map(async (key) => {
      const entity = await entities[key.__typename](key, context);
      return entity && { ...entity, __typename: key.__typename };
    }),
};

/** Serve the subgraph on a port of this machine; return the server. */
export function serveOrders(port, tertulia) {
  const schema = buildASTSchema(parse(typeDefs + FEDERATION), { assumeValidSDL: true });
  const context = ({ headers }) => {
    let loading;
    return { orders: () => (loading ??= ordersOf(tertulia, headers.authorization)) };
  };
  return createServer(createHandler({ schema, rootValue, context })).listen(port, "127.0.0.1");
}
