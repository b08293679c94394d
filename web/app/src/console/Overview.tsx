import { useState } from "react";
import { number } from "../messages";
import { FailedAnswers } from "./AnswerTable";
import { BudgetMeter } from "./BudgetMeter";
import { nodesOf } from "./facts";
import { useReading } from "./Loaded";
import { OverviewDocument, type OverviewQuery } from "./operations";
import { DEFAULT_DAYS, PeriodChoice } from "./period";
import { address, follow } from "./route";
import { text } from "./texts";
import { Spenders, UsagePanel } from "./UsagePanel";

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
    </section>
  );
}
