// GraphiQL with its tour. Results pass by on their way, so that their ids can be filled in elsewhere.
/* global React, ReactDOM, GraphiQL */
import { begin, notice } from "./known.js";
import { TABS } from "./tour-steps.js";
import { Tour } from "./tour.js";

// The headers of the last run: each tab has its own, and a sign-in is to reach them all. In memory alone.
const sent = { headers: null };

const send = GraphiQL.createFetcher({
  url: "graphql",
  enableIncrementalDelivery: false,
  // With an address GraphiQL opens a socket for each subscription, and its headers go into connection_init.
  subscriptionUrl: new URL("graphql", location.href.replace(/^http/, "ws")).href,
});

async function fetcher(request, options) {
  if (request.operationName === "IntrospectionQuery") return send(request, options);
  sent.headers = options?.headers ?? null;
  begin(request.operationName);
  const result = await send(request, { ...options, documentAST: parsed(request.query) });
  if (result?.[Symbol.asyncIterator]) return passing(request.operationName, result[Symbol.asyncIterator]());
  notice(request.operationName, result);
  return result;
}

// GraphiQL parses a moment after it is typed into; whether this is a subscription is to be known now.
function parsed(query) {
  try {
    return GraphiQL.GraphQL.parse(query);
  } catch {
    // The server says what is wrong with it.
    return undefined;
  }
}

// No generator: returning from one would wait for the next event, and who stops following wants to stop now.
function passing(name, events) {
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const step = await events.next();
      if (!step.done) notice(name, step.value);
      return step;
    },
    async return(value) {
      return events.return ? events.return(value) : { done: true, value };
    },
  };
}

ReactDOM.render(
  React.createElement(
    GraphiQL,
    { fetcher, defaultEditorToolsVisibility: "variables", defaultTabs: TABS },
    React.createElement(GraphiQL.Logo, null, React.createElement(Tour, { sent })),
  ),
  document.getElementById("graphiql"),
);
