// GraphiQL with its tour. The fetcher reads the results, so that their ids can be filled into later operations.
import "./workers";
import "graphiql/style.css";
import "./style.css";
import { createGraphiQLFetcher, type Fetcher, type FetcherReturnType } from "@graphiql/toolkit";
import { parse, type DocumentNode, type ExecutionResult } from "graphql";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { clearResult, recordResult, type Result } from "./tourState";
import { TABS } from "./steps";
import { Tour, type Sent } from "./Tour";

// The headers of the last run. Each tab has its own headers, but a sign-in must apply to all. Kept in memory only.
const sent: Sent = { headers: null };
// The variables of these scalars can be objects or lists.
const SCALARS = { JSON: {} };

const send = createGraphiQLFetcher({
  url: "graphql",
  enableIncrementalDelivery: false,
  // With this URL GraphiQL opens a socket for each subscription, and sends the headers in connection_init.
  subscriptionUrl: new URL("graphql", location.href.replace(/^http/, "ws")).href,
});

const fetcher: Fetcher = async (request, options) => {
  if (request.operationName === "IntrospectionQuery") return send(request, options);
  const name = request.operationName ?? "";
  sent.headers = options?.headers ?? null;
  clearResult(name);
  const documentAST = parseQuery(request.query);
  const result = await send(request, { ...options, ...(documentAST && { documentAST }) });
  if (isStream(result)) return recordEvents(name, result[Symbol.asyncIterator]());
  recordResult(name, result as Result);
  return result;
};

// GraphiQL parses a query shortly after it was edited. Whether it is a subscription must be known at once.
function parseQuery(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    // The server reports the syntax error.
    return undefined;
  }
}

function isStream(result: Awaited<FetcherReturnType>): result is AsyncIterable<ExecutionResult> {
  return Symbol.asyncIterator in result;
}

// Not a generator: its return() would wait for the next event, and "Stop" must take effect at once.
function recordEvents(name: string, events: AsyncIterator<ExecutionResult>): AsyncIterableIterator<ExecutionResult> {
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const step = await events.next();
      if (!step.done) recordResult(name, step.value as Result);
      return step;
    },
    async return(value) {
      return events.return ? events.return(value) : { done: true, value };
    },
  };
}

createRoot(document.getElementById("graphiql")!).render(
  <GraphiQL fetcher={fetcher} defaultEditorToolsVisibility="variables" defaultTabs={TABS} customScalarSchemas={SCALARS}>
    <GraphiQL.Logo>
      <Tour sent={sent} />
    </GraphiQL.Logo>
  </GraphiQL>,
);
