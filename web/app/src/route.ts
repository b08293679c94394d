import { useSyncExternalStore } from "react";

/** Which conversation is shown: `?c=ID`, so that a link, a refresh and the history's buttons lead to it. */
export function useConversationId(): string | null {
  return useSyncExternalStore(subscribe, read);
}

export function show(id: string | null, { replace = false } = {}): void {
  const address = id ? `/?c=${encodeURIComponent(id)}` : "/";
  if (read() === id) return;
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** Follow a link within the page, unless the click asks for a new tab. */
export function follow(event: React.MouseEvent, id: string | null): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
  event.preventDefault();
  show(id);
}

function read(): string | null {
  return new URLSearchParams(location.search).get("c");
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  return () => removeEventListener("popstate", listener);
}
