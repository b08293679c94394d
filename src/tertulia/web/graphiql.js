// GraphiQL with its tour. The fetcher reads the results, so that their ids can be filled into later operations.
/* global React, ReactDOM, GraphiQL */
import { begin, notice } from "./known.js";
import { TABS } from "./tour-steps.js";
import { Tour } from "./tour.js";

// The headers of the last run. Each tab has its own headers, but a sign-in must apply to all. Kept in memory only.
const sent = { headers: null };

const send = GraphiQL.createFetcher({
  url: "graphql",
  enableIncrementalDelivery: false,
  // With this URL GraphiQL opens a socket for each subscription, and sends the headers in connection_init.
  subscriptionUrl: new URL("graphql", location.href.replace(/^http/, "ws")).href,
});

async function fetcher(request, options) {
  if (request.operationName === "IntrospectionQuery") return send(request, options);
  sent.headers = options?.headers ?? null;
  begin(request.operationName);
  const result = await send(request, { ...options, documentAST: parse(request.query) });
  if (result?.[Symbol.asyncIterator]) return observed(request.operationName, result[Symbol.asyncIterator]());
  notice(request.operationName, result);
  return result;
}

// GraphiQL parses a query shortly after it was edited. Whether it is a subscription must be known at once.
function parse(query) {
  try {
    return GraphiQL.GraphQL.parse(query);
  } catch {
    // The server reports the syntax error.
    return undefined;
  }
}

// Not a generator: its return() would wait for the next event, and "Stop" must take effect at once.
function observed(name, events) {
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
