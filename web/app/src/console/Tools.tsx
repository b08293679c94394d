import { number } from "../messages";
import { Badge } from "./facts";
import { useReading } from "./Loaded";
import { ToolsDocument, type ToolsQuery } from "./operations";
import { Table } from "./Table";
import { text } from "./texts";

type Server = NonNullable<ToolsQuery["admin"]>["toolServers"][number];

/** How often the state of MCP servers is read again, in seconds. */
const REFRESH = 15;

/** The MCP servers and whether they work, and how often each tool was called and has failed. */
export function Tools() {
  const { data, notice } = useReading(ToolsDocument, {}, REFRESH);
  const admin = data?.admin;
  return (
    <>
      <h1>{text.views.tools}</h1>
      {notice}
      {admin && (
        <>
          <section>
            <h2>{text.tools.servers}</h2>
            <Table label={text.tools.servers} rows={admin.toolServers} keyOf={({ name }) => name} empty={text.tools.noServers} columns={[
              { head: text.tools.name, cell: ({ name }) => name },
              { head: text.tools.state, cell: (server) => <State server={server} /> },
              { head: text.tools.count, numeric: true, cell: ({ toolCount, skippedCount }) => (
                <>{number(toolCount)}{skippedCount > 0 && <small> {text.tools.skipped(skippedCount)}</small>}</>
              ) },
              { head: text.tools.accounts, numeric: true, cell: ({ connectedUserCount }) => (connectedUserCount === null ? text.none : number(connectedUserCount)) },
            ]} />
          </section>
          <section>
            <h2>{text.tools.usage}</h2>
            <Table small label={text.tools.usage} rows={admin.toolUsage} keyOf={({ name }) => name} empty={text.tools.noUsage} columns={[
              { head: text.tools.name, cell: ({ name }) => <code>{name}</code> },
              { head: text.tools.calls, numeric: true, cell: ({ calls }) => number(calls) },
              { head: text.tools.failed, numeric: true, cell: ({ failed }) => number(failed) },
            ]} />
          </section>
        </>
      )}
    </>
  );
}

function State({ server: { connected, problem } }: { server: Server }) {
  return (
    <>
      {connected !== null && <Badge bad={problem !== null}>{connected ? text.tools.connected : text.tools.disconnected}</Badge>}{" "}
      {problem !== null && <span dir="auto">{problem}</span>}
    </>
  );
}
