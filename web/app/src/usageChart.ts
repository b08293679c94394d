/** The usage of one model on one day, as far as the chart shows it. */
export interface DailyUsage {
  readonly day: string;
  readonly model: string;
  readonly cost: number | null;
  readonly tokens: number;
}

/** A part of a day's column. `start` and `size` are shares of the chart's height, from its bottom. */
export interface Segment {
  readonly model: string;
  readonly start: number;
  readonly size: number;
}

export interface Column {
  readonly day: string;
  readonly value: number;
  readonly segments: readonly Segment[];
}

export interface Chart {
  /** Whether the columns are dollars; otherwise tokens, because the price of a model is not known. */
  readonly inDollars: boolean;
  readonly maximum: number;
  /** The models by usage, the most used first. */
  readonly models: readonly string[];
  readonly columns: readonly Column[];
}

const DAY_MS = 86_400_000;

/** Return a column for each of the last `days` days, up to `today` in UTC, also for days without usage. */
export function chartOf(usage: readonly DailyUsage[], today: string, days: number): Chart {
  const inDollars = usage.every(({ cost }) => cost !== null);
  const valueOf = ({ cost, tokens }: DailyUsage) => (inDollars ? (cost ?? 0) : tokens);
  const all = Array.from({ length: days }, (_, back) => isoDay(Date.parse(today) - (days - 1 - back) * DAY_MS));
  const shown = usage.filter(({ day }) => all.includes(day));
  const totals = new Map<string, number>();
  for (const row of shown) totals.set(row.model, (totals.get(row.model) ?? 0) + valueOf(row));
  const models = [...totals].sort(([a, one], [b, other]) => other - one || a.localeCompare(b)).map(([model]) => model);
  const sums = all.map((day) => shown.filter((row) => row.day === day).reduce((sum, row) => sum + valueOf(row), 0));
  const maximum = Math.max(0, ...sums);
  const columns = all.map((day, position) => {
    let start = 0;
    const segments = models.flatMap((model) => {
      const row = shown.find((candidate) => candidate.day === day && candidate.model === model);
      const size = row && maximum > 0 ? valueOf(row) / maximum : 0;
      if (size === 0) return [];
      start += size;
      return [{ model, start: start - size, size }];
    });
    return { day, value: sums[position] ?? 0, segments };
  });
  return { inDollars, maximum, models, columns };
}

/** Return the day of a time in UTC. */
export function isoDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
