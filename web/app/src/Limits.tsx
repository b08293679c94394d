import { useQuery } from "urql";
import { date, dollars, duration, forCode, list, number, t, type MessageKey } from "./messages";
import { LimitsDocument, type LimitsQuery } from "./operations";
import { requestProblem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";

type Limit = LimitsQuery["viewer"]["limits"][number];

/** The viewer's plan and budget, and what is left of each limit. */
export function Limits() {
  const [{ data, error }] = useQuery({ query: LimitsDocument, requestPolicy: "cache-and-network" });
  if (error) return <ProblemNotice problem={requestProblem(error)} />;
  if (!data) return null;
  const { plan, budget, limits } = data.viewer;
  return (
    <>
      {plan && <p>{t("limits.plan", { name: plan.name })}</p>}
      {plan?.models && <p>{t("limits.models", { models: list(plan.models) })}</p>}
      {budget && (
        <p>
          <meter min={0} max={Number(budget.limitUsd)} value={Number(budget.spentUsd)} aria-label={t("account.budgetMeter")} />{" "}
          {t("account.budget", { spent: dollars(budget.spentUsd) ?? "", limit: dollars(budget.limitUsd) ?? "", date: date(budget.resetsAt) })}
        </p>
      )}
      {limits.length > 0 && <ul className="shares limits" aria-label={t("account.section.limits")}>{limits.map((limit) => <LimitItem key={limit.name} limit={limit} />)}</ul>}
      {!plan && !budget && limits.length === 0 && <p className="note">{t("limits.none")}</p>}
    </>
  );
}

const WINDOWS: Readonly<Record<number, MessageKey>> = { 60: "limits.minute", 3600: "limits.hour", 86_400: "limits.day" };

function windowText(seconds: number): string {
  const key = WINDOWS[seconds];
  return key ? t(key) : t("limits.window", { time: duration(seconds) });
}

function LimitItem({ limit: { name, maximum, remaining, windowSeconds, resetsInSeconds } }: { limit: Limit }) {
  const text = forCode("limit", name, name);
  const facts = [
    t("limits.left", { remaining: number(remaining), maximum: number(maximum) }),
    ...(windowSeconds === null ? [] : [windowText(windowSeconds)]),
    ...(resetsInSeconds ? [t("limits.resets", { time: duration(Math.ceil(resetsInSeconds)) })] : []),
  ];
  return (
    <li>
      <span>{text}<small>{list(facts)}</small></span>
      <meter min={0} max={maximum} value={maximum - remaining} aria-label={t("limits.used", { name: text })} />
    </li>
  );
}
