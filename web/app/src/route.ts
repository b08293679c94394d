import { BASE } from "./base";
import { useSyncExternalStore } from "react";

/** The conversation in the address, `?c=ID`, so that links, a refresh and the browser's history find it again. */
export function useConversationId(): string | null {
  return useSyncExternalStore(subscribe, currentId);
}

/** Return the id of the conversation that the page shows now; null for a new one. */
export function currentId(): string | null {
  return parameter("c");
}

/** The message to scroll to, `?c=ID&m=MESSAGE`, until it has been reached. */
export function useTargetMessageId(): string | null {
  return useSyncExternalStore(subscribe, () => parameter("m"));
}

/** The assistant of a new conversation, `?a=ID`. It survives a refresh, and links can name it. */
export function useRequestedAssistantId(): string | null {
  return useSyncExternalStore(subscribe, () => parameter("a"));
}

export function requestAssistant(id: string): void {
  history.replaceState(null, "", `${BASE}?a=${encodeURIComponent(id)}`);
  dispatchEvent(new PopStateEvent("popstate"));
}

export function address(id: string | null, messageId?: string): string {
  if (!id) return BASE;
  return `${BASE}?c=${encodeURIComponent(id)}${messageId ? `&m=${encodeURIComponent(messageId)}` : ""}`;
}

interface ShowOptions {
  readonly replace?: boolean;
  readonly messageId?: string | undefined;
}

export function show(id: string | null, { replace = false, messageId }: ShowOptions = {}): void {
  if (parameter("c") === id && !messageId) return;
  if (replace) history.replaceState(null, "", address(id, messageId));
  else history.pushState(null, "", address(id, messageId));
  dispatchEvent(new PopStateEvent("popstate"));
}

/** Remove the message from the address after the page has scrolled to it, so that the same link works again. */
export function targetReached(): void {
  history.replaceState(null, "", address(parameter("c")));
  dispatchEvent(new PopStateEvent("popstate"));
}

/** Follow a link within the page, unless the click asks for a new tab. */
export function follow(event: React.MouseEvent, id: string | null, messageId?: string): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
  event.preventDefault();
  show(id, { messageId });
}

function parameter(name: string): string | null {
  return new URLSearchParams(location.search).get(name);
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  return () => removeEventListener("popstate", listener);
}
