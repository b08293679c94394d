import { useState } from "react";
import { useClient, useMutation, useQuery } from "urql";
import { t } from "./messages";
import { DisconnectToolServerDocument, ToolServersDocument, type ToolServerFragment } from "./operations";
import { mutationProblem, problemOf, requestProblem, type Problem } from "./problems";
import { authorize } from "./toolConnection";
import { ProblemNotice } from "./ProblemNotice";

/** The servers of tools to which the viewer connects with their own account. */
export function ToolServers() {
  const [{ data, error }, read] = useQuery({ query: ToolServersDocument, requestPolicy: "network-only" });
  const servers = data?.toolServers.filter(({ ownAccount }) => ownAccount) ?? [];
  if (error) return <ProblemNotice problem={requestProblem(error)} />;
  if (servers.length === 0) return data ? <p className="note">{t("tools.none")}</p> : null;
  return (
    <>
      <h3 id="tool-servers">{t("tools.title")}</h3>
      <ul className="shares" aria-labelledby="tool-servers">
        {servers.map((server) => <Server key={server.name} server={server} onChanged={() => read({ requestPolicy: "network-only" })} />)}
      </ul>
    </>
  );
}

function Server({ server, onChanged }: { server: ToolServerFragment; onChanged: () => void }) {
  const [{ fetching }, disconnect] = useMutation(DisconnectToolServerDocument);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function end() {
    const failure = mutationProblem(await disconnect({ name: server.name }));
    setProblem(failure);
    if (!failure) onChanged();
  }
  return (
    <li>
      <span>{server.name}<small>{server.problem ?? t("tools.connected")}</small></span>
      {server.needsAuthorization
        ? <Connect name={server.name} />
        : <button type="button" className="plain" disabled={fetching} onClick={() => void end()} aria-label={t("tools.disconnectFrom", { name: server.name })}>{t("tools.disconnect")}</button>}
      <ProblemNotice problem={problem} />
    </li>
  );
}

/** A button that leads to the server's authorization, if the failed call of this tool needs one. */
export function ConnectForTool({ tool }: { tool: string }) {
  const [{ data }] = useQuery({ query: ToolServersDocument, requestPolicy: "cache-and-network" });
  const server = data?.toolServers.find(({ name, needsAuthorization }) => needsAuthorization && tool.startsWith(`${name}__`));
  return server ? <div className="connect"><Connect name={server.name} /></div> : null;
}

function Connect({ name }: { name: string }) {
  const client = useClient();
  const [problem, setProblem] = useState<Problem | null>(null);
  async function leave() {
    // The address works for ten minutes, so that of an earlier query may have expired.
    const { data, error } = await client.query(ToolServersDocument, {}, { requestPolicy: "network-only" });
    const url = data?.toolServers.find((server) => server.name === name)?.authorizeUrl;
    if (url) authorize(url);
    else setProblem(error ? requestProblem(error) : problemOf(t("tools.already")));
  }
  return (
    <>
      <button type="button" className="plain" onClick={() => void leave()} aria-label={t("tools.connectTo", { name })}>{t("tools.connect")}</button>
      <ProblemNotice problem={problem} />
    </>
  );
}
