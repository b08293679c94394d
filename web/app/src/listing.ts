import type { Entry } from "@tertulia/react";

/** When a conversation was last active: on one of the latest days, or in a month. */
export type Period = "today" | "yesterday" | "week" | "month";

export interface Group {
  readonly period: Period;
  /** The latest time in the group. */
  readonly at: string;
  readonly entries: readonly Entry[];
}

/** Group a list by the days and months of the browser's time zone. */
export function grouped(entries: readonly Entry[], now: Date): readonly Group[] {
  const groups: { period: Period; at: string; name: string; entries: Entry[] }[] = [];
  for (const entry of entries) {
    const period = periodOf(new Date(entry.updatedAt), now);
    const time = new Date(entry.updatedAt);
    const name = period === "month" ? `${time.getFullYear()}-${time.getMonth()}` : period;
    const last = groups.at(-1);
    if (last?.name === name) last.entries.push(entry);
    else groups.push({ period, at: entry.updatedAt, name, entries: [entry] });
  }
  return groups;
}

function periodOf(time: Date, now: Date): Period {
  const daysAgo = (days: number) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
  if (time >= daysAgo(0)) return "today";
  if (time >= daysAgo(1)) return "yesterday";
  return time >= daysAgo(7) ? "week" : "month";
}
