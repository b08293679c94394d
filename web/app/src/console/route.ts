import { useSyncExternalStore, type MouseEvent } from "react";
import { at } from "../base";

/** The views of the console, in the order of its navigation. */
export const VIEWS = ["overview", "users", "answers", "webhooks", "tools", "audit", "assistants", "settings"] as const;
export type View = (typeof VIEWS)[number];

/** What the address shows: a view, and the view's own parameters, such as a search. */
export type Parameters = Readonly<Record<string, string>>;

/** Return the parameters of the address. They survive a refresh, and links can name them. */
export function useParameters(): Parameters {
  const search = useSyncExternalStore(subscribe, () => location.search);
  return Object.fromEntries(new URLSearchParams(search));
}

export function viewOf({ view }: Parameters): View {
  return VIEWS.find((name) => name === view) ?? "overview";
}

export function address(view: View, parameters: Parameters = {}): string {
  const filled = Object.entries(parameters).filter(([, value]) => value !== "");
  return `${at("admin")}?${new URLSearchParams([["view", view], ...filled])}`;
}

export function go(to: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** Follow a link within the console, unless the click asks for a new tab. */
export function follow(event: MouseEvent<HTMLAnchorElement>): void {
  const { metaKey, ctrlKey, shiftKey, altKey, button } = event;
  if (metaKey || ctrlKey || shiftKey || altKey || button !== 0) return;
  event.preventDefault();
  go(event.currentTarget.href);
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  return () => removeEventListener("popstate", listener);
}
