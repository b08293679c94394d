import { useState } from "react";
import { number } from "../messages";
import { FailedAnswers } from "./AnswerTable";
import { BudgetMeter } from "./BudgetMeter";
import { nodesOf } from "./facts";
import { useReading } from "./Loaded";
import { OverviewDocument, type OverviewQuery } from "./operations";
import { DEFAULT_DAYS, PeriodChoice } from "./period";
import { address, follow, type View } from "./route";
import { text } from "./texts";
import { LimitHits, Spenders, UsagePanel } from "./UsagePanel";

type Admin = NonNullable<OverviewQuery["admin"]>;

/** How often the overview is read again, in seconds. */
const REFRESH = 15;

/** What an operator looks at first: what fails now, what runs, and what it costs. */
export function Overview() {
  const [days, setDays] = useState(DEFAULT_DAYS);
  const { data, notice } = useReading(OverviewDocument, {}, REFRESH);
  const admin = data?.admin;
  return (
    <>
      <h1>{text.views.overview}</h1>
      {notice}
      {admin && <Now admin={admin} />}
      <section>
        <div className="bar"><h2>{text.usage.costBy.day}</h2><PeriodChoice days={days} onChoose={setDays} /></div>
        <UsagePanel days={days} />
        <Spenders days={days} />
        <LimitHits days={days} />
      </section>
      {admin && (
        <section>
          <h2>{text.overview.failures}</h2>
          <FailedAnswers answers={nodesOf(admin.failures)} />
          <p><a href={address("answers")} onClick={follow}>{text.overview.all}</a></p>
        </section>
      )}
    </>
  );
}

function Now({ admin }: { admin: Admin }) {
  const { overview, budgets } = admin;
  const { counts } = text.overview;
  const troubles = troublesOf(admin);
  const tiles = [
    [counts.running, overview.runningCount],
    [counts.queued, overview.queuedCount],
    [counts.waiting, overview.waitingCount],
    [counts.failures, overview.failureCount],
    [counts.users, overview.userCount],
    [counts.guests, overview.guestCount],
    [counts.disabled, overview.disabledUserCount],
  ] as const;
  return (
    <section aria-label={text.overview.now}>
      <dl className="tiles">
        {tiles.map(([name, count]) => <div key={name}><dt>{name}</dt><dd>{number(count)}</dd></div>)}
      </dl>
      {budgets.map((budget) => <BudgetMeter key={budget.period} label={text.overview.budget[budget.period]} budget={budget} />)}
      <h2>{text.overview.trouble}</h2>
      {troubles.length > 0
        ? <ul className="troubles">{troubles.map((trouble) => <li key={trouble.text} dir="auto">{trouble.text} {trouble.view && <a href={address(trouble.view)} onClick={follow}>{text.overview.look}</a>}</li>)}</ul>
        : <p className="note">{text.overview.noTrouble}</p>}
    </section>
  );
}

interface Trouble {
  readonly text: string;
  /** The view that shows more of it. */
  readonly view?: View;
}

function troublesOf({ budgets, webhooks, toolServers }: Admin): readonly Trouble[] {
  const { budgetSpent, webhook, webhookDisabled, tool } = text.overview;
  return [
    ...budgets.filter(({ limitUsd, spentUsd }) => Number(spentUsd) >= Number(limitUsd)).map(({ period }) => ({ text: budgetSpent[period] })),
    ...webhooks.filter(({ disabledAt }) => disabledAt !== null).map(({ name }) => ({ text: webhookDisabled(name), view: "webhooks" as const })),
    ...webhooks.filter(({ failedCount }) => failedCount > 0).map(({ name, failedCount }) => ({ text: webhook(name, failedCount), view: "webhooks" as const })),
    ...toolServers.flatMap(({ name, problem }) => (problem === null ? [] : [{ text: tool(name, problem), view: "tools" as const }])),
  ];
}
