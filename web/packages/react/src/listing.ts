import type { ConversationFilter, EntryFragment } from "./operations.ts";

/** A conversation in a list. */
export type Entry = EntryFragment;

/** Which conversations a list shows. */
export interface ListFilter {
  readonly archived: boolean;
  /** Null for all conversations. */
  readonly pinned: boolean | null;
  /** Null for all conversations, also those without tags. */
  readonly tag: string | null;
}

/** The part of a list that has been loaded, the most recently active conversations first. */
export interface Listed {
  readonly entries: readonly Entry[];
  /** The cursor after which the rest begins; null if there is no rest. */
  readonly end: string | null;
}

export function conversationFilter({ archived, pinned, tag }: ListFilter): ConversationFilter {
  return { archived, pinned, metadata: tag === null ? null : { contains: { tags: [tag] } } };
}

/** Return the list with a conversation in its current state; null if it has been deleted. */
export function withChange({ entries, end }: Listed, filter: ListFilter, id: string, entry: Entry | null): Listed {
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

function isListed({ archived, pinned, temporary, tags }: Entry, filter: ListFilter): boolean {
  const { tag } = filter;
  return !temporary && archived === filter.archived && (filter.pinned === null || pinned === filter.pinned) && (tag === null || tags.includes(tag));
}

/** The server's order: by `updatedAt`, then by id, both descending. */
function isBefore(entry: Entry, other: Entry): boolean {
  return entry.updatedAt === other.updatedAt ? entry.id > other.id : Date.parse(entry.updatedAt) > Date.parse(other.updatedAt);
}
