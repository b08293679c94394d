import { useState } from "react";
import type { FileFragment } from "./operations";
import { subject } from "./session";

/** A message that is not sent yet. */
export interface Draft {
  readonly text: string;
  readonly files: readonly FileFragment[];
}

export const EMPTY: Draft = { text: "", files: [] };
/** Drafts kept in the browser; the oldest are dropped first. */
const MOST = 50;

const memory = new Map<string, Draft>();

/** The draft of one place (a conversation's id, or "new"). It survives a refresh, and belongs to the signed-in user. */
export function useDraft(place: string): [Draft, (draft: Draft | ((now: Draft) => Draft)) => void] {
  const [, redraw] = useState(0);
  const held = `${key()}:${place}`;
  const draft = memory.get(held) ?? read()[place] ?? EMPTY;
  return [
    draft,
    (next) => {
      const changed = typeof next === "function" ? next(memory.get(held) ?? read()[place] ?? EMPTY) : next;
      memory.set(held, changed);
      write(place, changed);
      redraw((count) => count + 1);
    },
  ];
}

/** Forget all drafts of the signed-in user, who signs out. */
export function forgetDrafts(): void {
  memory.clear();
  localStorage.removeItem(key());
}

function key(): string {
  return `tertulia:drafts:${subject()}`;
}

function read(): Record<string, Draft> {
  try {
    return (JSON.parse(localStorage.getItem(key()) ?? "null") as Record<string, Draft> | null) ?? {};
  } catch {
    return {};
  }
}

/** Only this place's draft is written: other tabs have drafts of their own in the same storage. */
function write(place: string, draft: Draft): void {
  const { [place]: _, ...others } = read();
  const empty = draft.text === "" && draft.files.length === 0;
  const kept = Object.entries(empty ? others : { ...others, [place]: draft }).slice(-MOST);
  try {
    localStorage.setItem(key(), JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // Storage is full or forbidden: the draft lives as long as the page.
  }
}
