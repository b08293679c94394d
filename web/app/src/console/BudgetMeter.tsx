import { date, dollars } from "../messages";
import { text } from "./texts";

interface Budget {
  readonly limitUsd: string;
  readonly spentUsd: string;
  readonly reservedUsd: string;
  readonly resetsAt: string;
}

/** What is spent of a budget, as a meter and in words. */
export function BudgetMeter({ label, budget }: { label: string; budget: Budget }) {
  const { limitUsd, spentUsd, reservedUsd, resetsAt } = budget;
  const spent = text.overview.spent(dollars(spentUsd) ?? "", dollars(limitUsd) ?? "");
  return (
    <div className="budget">
      <span>{label}</span>
      <meter aria-label={label} min={0} max={Number(limitUsd)} high={0.9 * Number(limitUsd)} optimum={0} value={Number(spentUsd)}>{spent}</meter>
      <span>{spent}</span>
      <small>{Number(reservedUsd) > 0 && `${text.overview.reserved(dollars(reservedUsd) ?? "")} `}{text.overview.resets(date(resetsAt))}</small>
    </div>
  );
}
