import { isoDay, chartOf } from "../usageChart";
import { UsageChart } from "../UsageChart";
import { day, number } from "../messages";
import { costOf, tokenCount, tokensOf, UserLink } from "./facts";
import { useReading } from "./Loaded";
import { LimitHitsDocument, SpendersDocument, UsageDocument, type AmountFragment } from "./operations";
import { firstDay } from "./period";
import { Table, type Column } from "./Table";
import { text } from "./texts";

const AMOUNTS: readonly Column<AmountFragment>[] = [
  { head: text.usage.cost, numeric: true, cell: (amount) => <Cost amount={amount} /> },
  { head: text.usage.tokens, numeric: true, cell: tokensOf },
  { head: text.usage.requests, numeric: true, cell: ({ requestCount }) => number(requestCount) },
];

function Cost({ amount }: { amount: AmountFragment }) {
  const { unpricedRequestCount } = amount;
  return <>{costOf(amount)}{unpricedRequestCount > 0 && <small className="below">{text.usage.unpriced(unpricedRequestCount)}</small>}</>;
}

/** The usage of the last `days` days, of one user or of all: a chart by day and model, and tables by model and assistant. */
export function UsagePanel({ days, userId = null }: { days: number; userId?: string | null }) {
  const { data, notice } = useReading(UsageDocument, { since: firstDay(days), userId });
  const usage = data?.admin;
  if (!usage) return notice;
  if (usage.byDay.length === 0) return <p className="note">{text.usage.none}</p>;
  const daily = usage.byDay.map((amount) => ({
    day: amount.day ?? "",
    model: amount.modelId ?? text.none,
    cost: amount.unpricedRequestCount === amount.requestCount ? null : Number(amount.costUsd),
    tokens: tokenCount(amount),
  }));
  return (
    <>
      {notice}
      <UsageChart chart={chartOf(daily, isoDay(Date.now()), days)} />
      <div className="columns">
        <section>
          <h3>{text.usage.costBy.model}</h3>
          <Table small label={text.usage.costBy.model} rows={usage.byModel} keyOf={({ modelId }) => modelId ?? ""} empty={text.usage.none}
            columns={[{ head: text.usage.model, cell: ({ modelId }) => <span className="whole">{modelId ?? text.none}</span> }, ...AMOUNTS]} />
        </section>
        <section>
          <h3>{text.usage.costBy.assistant}</h3>
          <Table small label={text.usage.costBy.assistant} rows={usage.byAssistant} keyOf={({ assistantId, ofDeletedConversations }) => `${assistantId} ${ofDeletedConversations}`} empty={text.usage.none}
            columns={[{ head: text.usage.assistant, cell: ({ assistantId, ofDeletedConversations }) => assistantId ?? (ofDeletedConversations ? text.usage.deleted : text.usage.noAssistant) }, ...AMOUNTS]} />
        </section>
      </div>
    </>
  );
}

/** The users who cost most in the last `days` days. */
export function Spenders({ days }: { days: number }) {
  const { data, notice } = useReading(SpendersDocument, { since: firstDay(days) });
  return (
    <section>
      <h3>{text.usage.costBy.user}</h3>
      {notice}
      {data?.admin && (
        <Table small label={text.usage.costBy.user} rows={data.admin.byUser} keyOf={({ userId }) => userId ?? ""} empty={text.usage.none}
          columns={[{ head: text.answers.user, cell: ({ userId, userName }) => <UserLink user={userId === null ? null : { id: userId, name: userName ?? userId }} /> }, ...AMOUNTS]} />
      )}
    </section>
  );
}

/** The requests that limits have refused in the last `days` days. */
export function LimitHits({ days }: { days: number }) {
  const { data, notice } = useReading(LimitHitsDocument, { since: firstDay(days) });
  const { limits, noLimits, limit: heads } = text.overview;
  return (
    <section>
      <h3>{limits}</h3>
      {notice}
      {data?.admin && (
        <Table small label={limits} rows={data.admin.limitHits} keyOf={({ day, limitName, userId }) => `${day} ${limitName} ${userId}`} empty={noLimits}
          columns={[
            { head: heads.day, cell: (hits) => <span className="whole">{day(hits.day)}</span> },
            { head: heads.name, cell: ({ limitName }) => <code>{limitName}</code> },
            { head: text.answers.user, cell: ({ userId, userName }) => <UserLink user={userId === null ? null : { id: userId, name: userName ?? userId }} /> },
            { head: heads.count, numeric: true, cell: ({ count }) => number(count) },
          ]} />
      )}
    </section>
  );
}
