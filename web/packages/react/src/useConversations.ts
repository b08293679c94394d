import { useCallback, useEffect, useRef, useState } from "react";
import type { Change } from "./client.ts";
import { CONVERSATIONS } from "./documents.ts";
import { conversationFilter, withChange, withPage, type Listed, type ListFilter } from "./listing.ts";
import { useReconnects, useTertulia } from "./provider.tsx";

const PAGE = 30;
/** The largest page that the server returns. */
const MAX_PAGE = 100;
const ALL: ListFilter = { archived: false, pinned: null, tag: null };

/** Call `onChange` after each change to a conversation, here or on another device. */
export function useConversationChanges(onChange: (change: Change) => void): void {
  const client = useTertulia();
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => client.onChange((change) => latest.current(change)), [client]);
}

export interface Conversations {
  /** Null until the first page is loaded. */
  readonly list: Listed | null;
  /** Load the next page; null while the list is complete or a page is being loaded. */
  readonly more: (() => void) | null;
  /** Whether the last page could not be loaded. */
  readonly failed: boolean;
}

/**
 * Return a list of conversations that is loaded page by page. Changes are applied to what is loaded: nothing is read again until
 * the socket reconnects.
 */
export function useConversations(filter: ListFilter = ALL): Conversations {
  const client = useTertulia();
  const [list, setList] = useState<Listed | null>(null);
  const [state, setState] = useState<"loading" | "idle" | "failed">("loading");
  /** The changes that arrived during a request, whose response may be older. */
  const meanwhile = useRef<Change[]>([]);
  /** Only the response to the last request counts: others may be older, and arrive later. */
  const requests = useRef(0);
  const { archived, pinned, tag } = filter;
  const apply = (to: Listed, { conversationId, conversation }: Change) => withChange(to, { archived, pinned, tag }, conversationId, conversation);
  const load = useCallback(async (first: number, after: string | null) => {
    const request = ++requests.current;
    setState("loading");
    meanwhile.current = [];
    const variables = { filter: conversationFilter({ archived, pinned, tag }), first, after };
    const data = await client.request(CONVERSATIONS, variables).catch(() => null);
    if (request !== requests.current) return;
    setState(data ? "idle" : "failed");
    if (!data) return;
    const { edges, pageInfo } = data.conversations;
    const page = { entries: edges.map(({ node }) => node), end: pageInfo.hasNextPage ? pageInfo.endCursor : null };
    setList((before) => meanwhile.current.reduce(apply, before && after ? withPage(before, page) : page));
  }, [client, archived, pinned, tag]);
  const reconnects = useReconnects();
  useEffect(() => {
    void load(Math.min(Math.max(list?.entries.length ?? 0, PAGE), MAX_PAGE), null);
  }, [load, reconnects]);
  useConversationChanges((change) => {
    meanwhile.current.push(change);
    setList((before) => before && apply(before, change));
  });
  const end = list?.end;
  return { list, more: end && state !== "loading" ? () => void load(PAGE, end) : null, failed: state === "failed" };
}
