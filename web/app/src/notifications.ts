import { useConversationChanges } from "@tertulia/react";
import { useEffect, useRef } from "react";
import { t } from "./messages";
import { show } from "./route";
import { store } from "./store";

const KEY = "tertulia:notify";
/** Shorter answers end while the user still looks at the page, or has just left it. */
const LONG_MS = 5_000;

/** Whether the user wants notifications. */
export const notify = store(localStorage.getItem(KEY) === "on");
/** The number of answers that ended while the page was hidden. The title of the tab shows it. */
export const unseen = store(0);

/** Turn notifications on or off. Browsers ask the user for permission, and want that to follow from an action of the user. */
export async function turnNotifications(on: boolean): Promise<void> {
  if (on && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
  localStorage.setItem(KEY, on ? "on" : "off");
  notify.set(on);
}

/** Return whether the browser shows no notifications of this page. */
export function notificationsBlocked(): boolean {
  return !("Notification" in window) || Notification.permission === "denied";
}

/** Tell the user about long answers that end while the page is hidden. */
export function useNotifications(): void {
  /** When answers began, by conversation. */
  const begun = useRef(new Map<string, number>());
  useConversationChanges(({ kind, conversationId, conversation }) => {
    if (kind === "GENERATION_STARTED") begun.current.set(conversationId, Date.now());
    if (kind !== "GENERATION_ENDED" || !conversation) return;
    // An answer of which the page has not seen the beginning is long.
    const duration = Date.now() - (begun.current.get(conversationId) ?? 0);
    begun.current.delete(conversationId);
    if (!document.hidden || duration < LONG_MS) return;
    setUnseen(unseen.get() + 1);
    if (notify.get()) showNotification(conversationId, conversation.title ?? t("common.newConversation"));
  });
  useEffect(() => {
    const onVisible = () => document.hidden || setUnseen(0);
    document.addEventListener("visibilitychange", onVisible);
    return () => document.removeEventListener("visibilitychange", onVisible);
  }, []);
}

function setUnseen(count: number): void {
  unseen.set(count);
  // The icon of an installed app.
  if ("setAppBadge" in navigator) void navigator.setAppBadge(count).catch(() => undefined);
}

function showNotification(id: string, title: string): void {
  if (notificationsBlocked()) return;
  try {
    // With the tag, several tabs show one notification.
    const notification = new Notification(title, { body: t("notify.done"), tag: `tertulia:${id}` });
    notification.onclick = () => {
      focus();
      show(id);
      notification.close();
    };
  } catch {
    // Chrome on Android lets only service workers show notifications. The title of the tab shows the answer.
  }
}
