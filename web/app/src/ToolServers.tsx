import { useState } from "react";
import { useClient, useMutation, useQuery } from "urql";
import { authorize } from "./toolConnection";
import { DisconnectToolServerDocument, ToolServersDocument, type ToolServerFragment } from "./operations";
import { complaint, sentence } from "./words";

/** The servers of tools to which the viewer connects with their own account. Nothing if there are none. */
export function ToolServers() {
  const [{ data, error }, read] = useQuery({ query: ToolServersDocument, requestPolicy: "network-only" });
  const servers = data?.toolServers.filter(({ ownAccount }) => ownAccount) ?? [];
  if (error) return <p className="notice trouble" role="alert">{sentence(error)}</p>;
  if (servers.length === 0) return null;
  return (
    <>
      <h3 id="tool-servers">Connected tools</h3>
      <ul className="shares" aria-labelledby="tool-servers">
        {servers.map((server) => <Server key={server.name} server={server} onChanged={() => read({ requestPolicy: "network-only" })} />)}
      </ul>
    </>
  );
}

function Server({ server, onChanged }: { server: ToolServerFragment; onChanged: () => void }) {
  const [{ fetching }, disconnect] = useMutation(DisconnectToolServerDocument);
  const [problem, setProblem] = useState<string | null>(null);
  async function end() {
    const failure = complaint(await disconnect({ name: server.name }));
    setProblem(failure);
    if (!failure) onChanged();
  }
  return (
    <li>
      <span>{server.name}<small>{server.problem ?? "Claude can use your account."}</small></span>
      {server.needsAuthorization
        ? <Connect name={server.name} />
        : <button type="button" className="plain" disabled={fetching} onClick={() => void end()} aria-label={`Disconnect from ${server.name}`}>Disconnect</button>}
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
    </li>
  );
}

/** A button that leads to the server's authorization, if the failed call of this tool needs one. */
export function ConnectForTool({ tool }: { tool: string }) {
  const [{ data }] = useQuery({ query: ToolServersDocument, requestPolicy: "cache-and-network" });
  const server = data?.toolServers.find(({ name, needsAuthorization }) => needsAuthorization && tool.startsWith(`${name}__`));
  return server ? <p className="connect"><Connect name={server.name} /></p> : null;
}

function Connect({ name }: { name: string }) {
  const client = useClient();
  const [problem, setProblem] = useState<string | null>(null);
  async function leave() {
    // The address works for ten minutes, so that of an earlier query may have expired.
    const { data, error } = await client.query(ToolServersDocument, {}, { requestPolicy: "network-only" });
    const url = data?.toolServers.find((server) => server.name === name)?.authorizeUrl;
    if (url) authorize(url);
    else setProblem(error ? sentence(error) : "You are connected already.");
  }
  return (
    <>
      <button type="button" className="plain" onClick={() => void leave()} aria-label={`Connect to ${name}`}>Connect</button>
      {problem && <span className="notice trouble" role="alert">{problem}</span>}
    </>
  );
}
