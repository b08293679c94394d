import { useState } from "react";
import { useQuery } from "urql";
import { day as formatDay, dollars, list, number, t } from "./messages";
import { UsageDocument, type UsageQuery } from "./operations";
import { requestProblem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";
import { chartOf, isoDay } from "./usageChart";
import { UsageChart } from "./UsageChart";
import { inputTokens, total } from "./words";

type Viewer = UsageQuery["viewer"];

const DAY_MS = 86_400_000;
const PERIODS = [7, 30, 90] as const;
const COLUMNS = ["account.day", "account.model", "account.tokensIn", "account.tokensOut", "account.cost"] as const;

/** What the viewer has used: in total, by day and model, and the calls of tools. */
export function Usage() {
  const [days, setDays] = useState<number>(30);
  const today = isoDay(Date.now());
  const since = `${isoDay(Date.parse(today) - (days - 1) * DAY_MS)}T00:00:00Z`;
  const [{ data, error }] = useQuery({ query: UsageDocument, variables: { since }, requestPolicy: "cache-and-network" });
  return (
    <>
      <ProblemNotice problem={error ? requestProblem(error) : null} />
      {data && <p>{t("account.total", { usage: total(data.viewer.usage) })}</p>}
      <label className="period">
        {t("usage.period")}
        <select value={days} onChange={({ target }) => setDays(Number(target.value))}>
          {PERIODS.map((count) => <option key={count} value={count}>{t("usage.lastDays", { count })}</option>)}
        </select>
      </label>
      {data && <ByDay rows={data.viewer.usageByDay} today={today} days={days} />}
      {data && data.viewer.toolUsage.length > 0 && <p>{t("account.tools", { tools: list(data.viewer.toolUsage.map(toolText)) })}</p>}
    </>
  );
}

function ByDay({ rows, today, days }: { rows: Viewer["usageByDay"]; today: string; days: number }) {
  if (rows.length === 0) return <p className="note">{t("usage.none")}</p>;
  const daily = rows.map(({ day, model, usage }) => ({
    day,
    model,
    cost: usage.costUsd === null ? null : Number(usage.costUsd),
    tokens: inputTokens(usage) + usage.outputTokens,
  }));
  return (
    <>
      <UsageChart chart={chartOf(daily, today, days)} />
      <details>
        <summary>{t("usage.table")}</summary>
        <div className="wide" tabIndex={0} role="region" aria-label={t("account.byDay")}>
          <table>
            <thead><tr>{COLUMNS.map((column) => <th key={column} scope="col">{t(column)}</th>)}</tr></thead>
            <tbody>
              {[...rows].reverse().map(({ day, model, usage }) => (
                <tr key={day + model}>
                  <td>{formatDay(day)}</td><td>{model}</td>
                  <td>{number(inputTokens(usage))}</td>
                  <td>{number(usage.outputTokens)}</td><td>{dollars(usage.costUsd) ?? "?"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}

function toolText({ name, calls, failed }: Viewer["toolUsage"][number]): string {
  return t(failed ? "account.toolCallsFailed" : "account.toolCalls", { name, calls, failed });
}
