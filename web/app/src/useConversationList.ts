import { useCallback, useEffect, useRef, useState } from "react";
import { useClient } from "urql";
import { returns } from "./client";
import { conversationFilter, withChange, withPage, type Listed, type ListFilter } from "./listing";
import { ChangesDocument, ConversationsDocument, type ChangesSubscription } from "./operations";
import { useStore } from "./store";

type Change = ChangesSubscription["conversationChanges"];

const PAGE = 30;
/** The largest page that the server returns. */
const MAX_PAGE = 100;

/** Call `onChange` after each change to a conversation, here or on another device. */
export function useEachChange(onChange: (change: Change) => void): void {
  const client = useClient();
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => {
    const { unsubscribe } = client.subscription(ChangesDocument, {}).subscribe(({ data }) => {
      if (data) latest.current(data.conversationChanges);
    });
    return unsubscribe;
  }, [client]);
}

/**
 * Return a list that is loaded page by page, and a function that loads the next page; null while the list is complete or a
 * page is being loaded. Changes are applied to what is loaded: nothing is read again until the socket reconnects.
 */
export function useConversationList(filter: ListFilter): { list: Listed | null; more: (() => void) | null; failed: boolean } {
  const client = useClient();
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
    const { data } = await client.query(ConversationsDocument, variables, { requestPolicy: "network-only" });
    if (request !== requests.current) return;
    setState(data ? "idle" : "failed");
    if (!data) return;
    const { edges, pageInfo } = data.conversations;
    const page = { entries: edges.map(({ node }) => node), end: pageInfo.hasNextPage ? pageInfo.endCursor : null };
    setList((before) => meanwhile.current.reduce(apply, before && after ? withPage(before, page) : page));
  }, [client, archived, pinned, tag]);
  const reconnected = useStore(returns);
  useEffect(() => {
    void load(Math.min(Math.max(list?.entries.length ?? 0, PAGE), MAX_PAGE), null);
  }, [load, reconnected]);
  useEachChange((change) => {
    meanwhile.current.push(change);
    setList((before) => before && apply(before, change));
  });
  const end = list?.end;
  return { list, more: end && state !== "loading" ? () => void load(PAGE, end) : null, failed: state === "failed" };
}
