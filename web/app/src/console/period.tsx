import { isoDay } from "../usageChart";
import { text } from "./texts";

const DAY_MS = 86_400_000;
export const PERIODS = [7, 30, 90] as const;
export const DEFAULT_DAYS = 30;

/** Return the first of the last `days` days in UTC, today included. */
export function firstDay(days: number): string {
  return isoDay(Date.now() - (days - 1) * DAY_MS);
}

export function PeriodChoice({ days, onChoose }: { days: number; onChoose: (days: number) => void }) {
  return (
    <label className="period">
      {text.period.label}
      <select value={days} onChange={({ target }) => onChoose(Number(target.value))}>
        {PERIODS.map((count) => <option key={count} value={count}>{text.period.days(count)}</option>)}
      </select>
    </label>
  );
}
