export type ShortcutName = "new" | "search" | "sidebar" | "composer" | "previous" | "next" | "copy" | "stop" | "help";

interface Keys {
  /** `KeyboardEvent.key` in lower case. */
  readonly key: string;
  /** Whether Control is held, or Command on a Mac. */
  readonly command?: true;
  readonly alt?: true;
  /** Undefined where the key of some keyboards needs Shift. */
  readonly shift?: boolean;
}

/**
 * Letters need Control, because screen readers and voice control use single letters. Browsers leave these combinations to pages,
 * and none of them edits text.
 */
export const SHORTCUTS: Readonly<Record<ShortcutName, readonly Keys[]>> = {
  new: [{ key: "o", command: true, shift: true }],
  search: [{ key: "k", command: true, shift: false }],
  sidebar: [{ key: "b", command: true, shift: false }],
  composer: [{ key: "/" }],
  previous: [{ key: "arrowup", alt: true, shift: false }],
  next: [{ key: "arrowdown", alt: true, shift: false }],
  copy: [{ key: "l", command: true, shift: true }],
  stop: [{ key: "escape", shift: false }],
  help: [{ key: "/", command: true }, { key: "?" }],
};

/** The part of a keyboard event that decides. */
export interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/**
 * Return the shortcut that was pressed, or null.
 *
 * @param inText Whether a text field with text, or another field, has the focus. Keys without Control are its own.
 */
export function shortcutOf(pressed: Pressed, inText: boolean): ShortcutName | null {
  const found = Object.entries(SHORTCUTS).find(([, all]) => all.some((keys) => (keys.command || !inText) && matches(pressed, keys)));
  return found ? (found[0] as ShortcutName) : null;
}

function matches({ key, ctrlKey, metaKey, altKey, shiftKey }: Pressed, keys: Keys): boolean {
  const command = ctrlKey || metaKey;
  return key.toLowerCase() === keys.key && command === (keys.command ?? false) && altKey === (keys.alt ?? false)
    && (keys.shift === undefined || keys.shift === shiftKey);
}

const NAMES: Readonly<Record<string, string>> = { arrowup: "↑", arrowdown: "↓", escape: "Esc" };

/** Return the keys of a shortcut for people, such as `Ctrl+Shift+O`, or `⇧⌘O` on a Mac. */
export function keysText(name: ShortcutName, mac: boolean, position = 0): string {
  const { key, command, alt, shift } = SHORTCUTS[name][position] ?? { key: "" };
  const last = NAMES[key] ?? key.toUpperCase();
  if (mac) return `${alt ? "⌥" : ""}${shift ? "⇧" : ""}${command ? "⌘" : ""}${last}`;
  return [command && "Ctrl", alt && "Alt", shift && "Shift", last].filter(Boolean).join("+");
}
