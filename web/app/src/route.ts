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

/** The sections of the settings, in the order of their list. */
export const SECTIONS = ["general", "usage", "limits", "memory", "tools", "security", "tokens", "delete"] as const;
export type Section = (typeof SECTIONS)[number];

/** The section of the settings that the address shows, `?settings=usage`; null if they are closed. */
export function useSection(): Section | null {
  const name = useSyncExternalStore(subscribe, () => parameter("settings"));
  return name === null ? null : (SECTIONS.find((section) => section === name) ?? "general");
}

/** Return the address of a section. The page stays at its conversation. */
export function settingsAddress(section: Section | null): string {
  const parameters = new URLSearchParams(location.search);
  if (section) parameters.set("settings", section);
  else parameters.delete("settings");
  return parameters.size > 0 ? `${BASE}?${parameters}` : BASE;
}

/** Show a section. Changing it replaces the address, so that going back leaves the settings. */
export function showSettings(section: Section, event?: React.MouseEvent): void {
  if (event && opensElsewhere(event)) return;
  event?.preventDefault();
  if (parameter("settings")) history.replaceState(null, "", settingsAddress(section));
  else history.pushState(null, "", settingsAddress(section));
  dispatchEvent(new PopStateEvent("popstate"));
}

export function closeSettings(): void {
  if (!parameter("settings")) return;
  history.replaceState(null, "", settingsAddress(null));
  dispatchEvent(new PopStateEvent("popstate"));
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
  if (opensElsewhere(event)) return;
  event.preventDefault();
  show(id, { messageId });
}

function opensElsewhere({ metaKey, ctrlKey, shiftKey, altKey, button }: React.MouseEvent): boolean {
  return metaKey || ctrlKey || shiftKey || altKey || button !== 0;
}

function parameter(name: string): string | null {
  return new URLSearchParams(location.search).get(name);
}

function subscribe(listener: () => void): () => void {
  addEventListener("popstate", listener);
  return () => removeEventListener("popstate", listener);
}
