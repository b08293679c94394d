import { useQuery } from "urql";
import { Dialog } from "./Dialog";
import { forgetDrafts } from "./drafts";
import { Memories } from "./Memories";
import { AccountDocument, type AccountQuery } from "./operations";
import { claiming, session, signOut } from "./session";
import { useStore } from "./store";
import { choose, theme, type Theme } from "./theme";
import { ToolServers } from "./ToolServers";
import { dollars, sentence, spent, tokens } from "./words";

type Viewer = AccountQuery["viewer"];

const KEYS: readonly (readonly [string, string])[] = [
  ["Enter", "sends"],
  ["Shift+Enter", "adds a line break"],
  ["Escape", "stops the answer"],
  ["↑ in an empty message", "edits the last one"],
  ["Ctrl+K", "searches"],
  ["Ctrl+Shift+O", "starts a new conversation"],
  ["Ctrl+B", "shows the conversations on a narrow screen"],
];

/** The viewer's name and usage, the page's theme and its keyboard shortcuts. */
export function AccountDialog({ onClose }: { onClose: () => void }) {
  const [{ data, error }] = useQuery({ query: AccountDocument, requestPolicy: "network-only" });
  const signed = useStore(session);
  return (
    <Dialog title={data?.viewer.name ?? "Account"} onClose={onClose}>
      {error && <p className="notice trouble" role="alert">{sentence(error)}</p>}
      {data && <ViewerUsage viewer={data.viewer} />}
      {signed?.guest && (
        <>
          <p>You are a guest. With an account you keep these conversations. If you sign out, you lose them.</p>
          <button type="button" className="plain" onClick={() => claiming.set(true)}>Sign in or create an account</button>
        </>
      )}
      <ToolServers />
      <Memories />
      <h3>Appearance</h3>
      <Themes />
      <h3>Keyboard shortcuts</h3>
      <dl className="keys">
        {KEYS.map(([key, does]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{does}</dd></div>)}
      </dl>
      <div className="actions">
        {signed && <button type="button" className="plain" onClick={() => { forgetDrafts(); void signOut(); }}>Sign out</button>}
      </div>
    </Dialog>
  );
}

function ViewerUsage({ viewer }: { viewer: Viewer }) {
  const { budget, usage, usageByDay, limits, toolUsage } = viewer;
  return (
    <>
      <h3>Usage</h3>
      <p>{spent(usage)} in total.</p>
      {budget && (
        <p>
          <meter min={0} max={Number(budget.limitUsd)} value={Number(budget.spentUsd)} aria-label="This month's budget" />{" "}
          {dollars(budget.spentUsd)} of {dollars(budget.limitUsd)} this month, until {new Date(budget.resetsAt).toLocaleDateString()}.
        </p>
      )}
      {usageByDay.length > 0 && (
        <div className="wide" tabIndex={0} role="region" aria-label="Usage by day">
          <table>
            <thead><tr><th>Day</th><th>Model</th><th>Tokens in</th><th>Tokens out</th><th>Cost</th></tr></thead>
            <tbody>
              {usageByDay.slice(-14).reverse().map(({ day, model, usage: daily }) => (
                <tr key={day + model}>
                  <td>{day}</td><td>{model}</td>
                  <td>{tokens(daily.inputTokens + daily.cacheReadTokens + daily.cacheWriteTokens)}</td>
                  <td>{tokens(daily.outputTokens)}</td><td>{dollars(daily.costUsd) ?? "?"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {limits.length > 0 && <p>{limits.map(({ name, maximum, remaining }) => `${remaining} of ${maximum} ${name}`).join(", ")} left.</p>}
      {toolUsage.length > 0 && <p>Tools: {toolUsage.map(({ name, calls, failed }) => `${name} ${calls}${failed ? ` (${failed} failed)` : ""}`).join(", ")}.</p>}
    </>
  );
}

function Themes() {
  const selected = useStore(theme);
  return (
    <div className="row" role="radiogroup" aria-label="Appearance">
      {(["system", "light", "dark"] satisfies Theme[]).map((option) => (
        <label key={option} className="check">
          <input type="radio" name="theme" checked={selected === option} onChange={() => choose(option)} />
          {option === "system" ? "System" : option === "light" ? "Light" : "Dark"}
        </label>
      ))}
    </div>
  );
}
