import { useQuery } from "urql";
import { Dialog } from "./Dialog";
import { finishDeletions } from "./deletions";
import { forgetDrafts } from "./drafts";
import { Languages } from "./Languages";
import { Memories } from "./Memories";
import { date, day as formatDay, dollars, forCode, list, number, t } from "./messages";
import { NotificationSetting } from "./NotificationSetting";
import { AccountDocument, type AccountQuery } from "./operations";
import { forgetOutbox } from "./outbox";
import { requestProblem } from "./problems";
import { claiming, session, signOut } from "./session";
import { useStore } from "./store";
import { choose, theme, type Theme } from "./theme";
import { ToolServers } from "./ToolServers";
import { ProblemNotice } from "./ProblemNotice";
import { inputTokens, total } from "./words";
import { YourData } from "./YourData";

type Viewer = AccountQuery["viewer"];

async function leave(): Promise<void> {
  await finishDeletions();
  forgetDrafts();
  forgetOutbox();
  await signOut();
}

/** The viewer's name and usage, the page's theme and its keyboard shortcuts. */
export function AccountDialog({ onClose }: { onClose: () => void }) {
  const [{ data, error }] = useQuery({ query: AccountDocument, requestPolicy: "network-only" });
  const signed = useStore(session);
  return (
    <Dialog title={data?.viewer.name ?? t("account.title")} onClose={onClose}>
      <ProblemNotice problem={error ? requestProblem(error) : null} />
      {data && <ViewerUsage viewer={data.viewer} />}
      {signed?.guest && (
        <>
          <p>{t("account.guest")}</p>
          <button type="button" className="plain" onClick={() => claiming.set(true)}>{t("account.claim")}</button>
        </>
      )}
      <ToolServers />
      <Memories />
      <h3>{t("account.appearance")}</h3>
      <Themes />
      <h3>{t("account.language")}</h3>
      <Languages />
      <NotificationSetting />
      <YourData />
      <div className="actions">
        {signed && <button type="button" className="plain" onClick={() => void leave()}>{t("account.signOut")}</button>}
      </div>
    </Dialog>
  );
}

function ViewerUsage({ viewer }: { viewer: Viewer }) {
  const { budget, usage, usageByDay, limits, toolUsage } = viewer;
  return (
    <>
      <h3>{t("account.usage")}</h3>
      <p>{t("account.total", { usage: total(usage) })}</p>
      {budget && (
        <p>
          <meter min={0} max={Number(budget.limitUsd)} value={Number(budget.spentUsd)} aria-label={t("account.budgetMeter")} />{" "}
          {t("account.budget", { spent: dollars(budget.spentUsd) ?? "", limit: dollars(budget.limitUsd) ?? "", date: date(budget.resetsAt) })}
        </p>
      )}
      {usageByDay.length > 0 && (
        <div className="wide" tabIndex={0} role="region" aria-label={t("account.byDay")}>
          <table>
            <thead><tr>{COLUMNS.map((column) => <th key={column}>{t(column)}</th>)}</tr></thead>
            <tbody>
              {usageByDay.slice(-14).reverse().map(({ day, model, usage: daily }) => (
                <tr key={day + model}>
                  <td>{formatDay(day)}</td><td>{model}</td>
                  <td>{number(inputTokens(daily))}</td>
                  <td>{number(daily.outputTokens)}</td><td>{dollars(daily.costUsd) ?? "?"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {limits.length > 0 && <p>{t("account.limits", { limits: list(limits.map(limitText)) })}</p>}
      {toolUsage.length > 0 && <p>{t("account.tools", { tools: list(toolUsage.map(toolText)) })}</p>}
    </>
  );
}

const COLUMNS = ["account.day", "account.model", "account.tokensIn", "account.tokensOut", "account.cost"] as const;

function limitText({ name, maximum, remaining }: Viewer["limits"][number]): string {
  return t("account.limit", { remaining: number(remaining), maximum: number(maximum), name: forCode("limit", name, name) });
}

function toolText({ name, calls, failed }: Viewer["toolUsage"][number]): string {
  return t(failed ? "account.toolCallsFailed" : "account.toolCalls", { name, calls, failed });
}

function Themes() {
  const selected = useStore(theme);
  return (
    <div className="row" role="radiogroup" aria-label={t("account.appearance")}>
      {(["system", "light", "dark"] satisfies Theme[]).map((option) => (
        <label key={option} className="check">
          <input type="radio" name="theme" checked={selected === option} onChange={() => choose(option)} />
          {t(`account.${option}`)}
        </label>
      ))}
    </div>
  );
}
