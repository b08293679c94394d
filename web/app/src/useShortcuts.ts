import { useEffect, useRef } from "react";
import { flushSync } from "react-dom";
import { opened } from "./artifacts";
import { t, type MessageKey } from "./messages";
import { show } from "./route";
import { keysText, shortcutOf, type ShortcutName } from "./shortcuts";
import { store, useStore } from "./store";

const KEY = "tertulia:shortcuts";

/** Whether the user wants keyboard shortcuts. */
export const shortcutsOn = store(localStorage.getItem(KEY) !== "off");

export function turnShortcuts(on: boolean): void {
  localStorage.setItem(KEY, on ? "on" : "off");
  shortcutsOn.set(on);
}

export const isMac = /Mac|iP(hone|ad|od)/.test(navigator.platform);

/** Return a tooltip: the text, with the keys of its shortcut if shortcuts are on. */
export function useTip(key: MessageKey, name: ShortcutName): string {
  return useStore(shortcutsOn) ? t("keys.tip", { text: t(key), keys: keysText(name, isMac) }) : t(key);
}

/** Run the shortcuts, unless the user has turned them off or a dialog is open. */
export function useShortcuts(toggleSidebar: () => void, showSidebar: () => void, help: () => void): void {
  const on = useStore(shortcutsOn);
  const actions: Record<ShortcutName, () => boolean> = {
    new: () => done(() => show(null)),
    search: () => done(() => {
      // At once, because the next keys are the words to search.
      flushSync(showSidebar);
      const field = document.getElementById("search");
      field?.focus();
      if (document.activeElement !== field) requestAnimationFrame(() => field?.focus());
    }),
    sidebar: () => done(toggleSidebar),
    composer: () => done(() => document.getElementById("text")?.focus()),
    previous: () => openNeighbour(-1),
    next: () => openNeighbour(1),
    copy: () => press(Array.from(document.querySelectorAll<HTMLElement>(".assistant > .actions [data-copy]")).at(-1)),
    stop: () => press(document.querySelector<HTMLElement>("[data-stop]")) || (opened.get() !== null && done(() => opened.set(null))),
    help: () => done(help),
  };
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    if (!on) return;
    function onKeyDown(event: KeyboardEvent) {
      if (event.defaultPrevented || event.isComposing || document.querySelector("dialog:modal")) return;
      const name = shortcutOf(event, isInField(event));
      if (name && latest.current[name]()) event.preventDefault();
    }
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [on]);
}

function isInField({ target, altKey }: KeyboardEvent): boolean {
  const field = target instanceof Element ? target.closest<HTMLInputElement>("input, textarea, select, [contenteditable]") : null;
  // With Alt, an arrow moves the cursor on a Mac. In an empty message box, it does nothing.
  return field !== null && !(altKey && field.id === "text" && field.value === "");
}

function done(action: () => void): boolean {
  action();
  return true;
}

function press(button: HTMLElement | null | undefined): boolean {
  button?.click();
  return Boolean(button);
}

/** Open the conversation before or after the current one in the list. */
function openNeighbour(step: 1 | -1): boolean {
  const links = Array.from(document.querySelectorAll<HTMLElement>(".side .entries a"));
  const current = links.findIndex((link) => link.ariaCurrent === "page");
  const next = links[current === -1 && step === -1 ? -1 : current + step];
  next?.scrollIntoView({ block: "nearest" });
  return press(next);
}
