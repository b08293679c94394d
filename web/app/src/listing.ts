import type { ConversationFilter, EntryFragment } from "./operations";

/** Which conversations a list shows. */
export interface ListFilter {
  readonly archived: boolean;
  readonly pinned: boolean | null;
  /** Null for all conversations, also those without tags. */
  readonly tag: string | null;
}

/** The part of a list that has been loaded, the most recently active conversations first. */
export interface Listed {
  readonly entries: readonly EntryFragment[];
  /** The cursor after which the rest begins; null if there is no rest. */
  readonly end: string | null;
}

export function conversationFilter({ archived, pinned, tag }: ListFilter): ConversationFilter {
  return { archived, pinned, metadata: tag === null ? null : { contains: { tags: [tag] } } };
}

/** Return the list with a conversation in its current state; null if it has been deleted. */
export function withChange({ entries, end }: Listed, filter: ListFilter, id: string, entry: EntryFragment | null): Listed {
  const others = entries.filter((other) => other.id !== id);
  if (!entry || !isListed(entry, filter)) return { entries: others, end };
  const place = others.findIndex((other) => isBefore(entry, other));
  // A conversation after the last one that is loaded will come with the rest.
  if (place === -1 && end !== null) return { entries: others, end };
  return { entries: place === -1 ? [...others, entry] : others.toSpliced(place, 0, entry), end };
}

/** Return the list with the next page. A conversation may be in both, if it moved meanwhile. */
export function withPage({ entries }: Listed, page: Listed): Listed {
  const known = new Set(entries.map(({ id }) => id));
  return { entries: [...entries, ...page.entries.filter(({ id }) => !known.has(id))], end: page.end };
}

function isListed({ archived, pinned, temporary, tags }: EntryFragment, filter: ListFilter): boolean {
  const { tag } = filter;
  return !temporary && archived === filter.archived && (filter.pinned === null || pinned === filter.pinned) && (tag === null || tags.includes(tag));
}

/** The server's order: by `updatedAt`, then by id, both descending. */
function isBefore(entry: EntryFragment, other: EntryFragment): boolean {
  return entry.updatedAt === other.updatedAt ? entry.id > other.id : Date.parse(entry.updatedAt) > Date.parse(other.updatedAt);
}

/** When a conversation was last active: on one of the latest days, or in a month. */
export type Period = "today" | "yesterday" | "week" | "month";

export interface Group {
  readonly period: Period;
  /** The latest time in the group. */
  readonly at: string;
  readonly entries: readonly EntryFragment[];
}

/** Group a list by the days and months of the browser's time zone. */
export function grouped(entries: readonly EntryFragment[], now: Date): readonly Group[] {
  const groups: { period: Period; at: string; name: string; entries: EntryFragment[] }[] = [];
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
