import { useState } from "react";
import type { FileFragment } from "./operations";
import { hostUser, subject } from "./session";
import { store, useStore } from "./store";

/** A message that has not been sent. */
export interface Draft {
  readonly text: string;
  readonly files: readonly FileFragment[];
}

/** A draft that is sent as soon as its files are uploaded and its settings are known and stored. */
interface Waiting {
  readonly key: string;
  /** The user who has sent it, after whom another one may sign in. */
  readonly owner: string;
  /** The assistant that is to answer; undefined if it cannot change. */
  readonly assistantId: string | undefined;
}

export const waiting = store<Waiting | null>(null);

export const EMPTY: Draft = { text: "", files: [] };
/** The number of drafts that the browser stores; the oldest are dropped first. */
const MAX_DRAFTS = 50;

const PREFIX = "tertulia:drafts:";
const memory = new Map<string, Draft>();

/** Give a host application's user what was written before the user was known, and keep nothing of it for the next one. */
hostUser.subscribe(() => {
  const before = `${PREFIX}local`;
  for (const [key, draft] of memory) {
    if (!key.startsWith(`${before}:`)) continue;
    memory.delete(key);
    memory.set(storageKey() + key.slice(before.length), draft);
    write(key.slice(before.length + 1), draft);
  }
  localStorage.removeItem(before);
});

type Change = Draft | ((now: Draft) => Draft);

/** The draft of a conversation's id, of "new", or of `edit:` and a message's id. It survives a refresh, and belongs to the signed-in user. */
export function useDraft(conversation: string): [Draft, (draft: Change) => void] {
  const [, redraw] = useState(0);
  useStore(hostUser);
  const owner = storageKey();
  return [
    draftOf(conversation),
    (next) => {
      // The user has signed out meanwhile.
      if (storageKey() !== owner) return;
      changeDraft(conversation, typeof next === "function" ? next : () => next);
      redraw((count) => count + 1);
    },
  ];
}

/** Change a draft. Components show it when they are rendered next. */
export function changeDraft(conversation: string, change: (now: Draft) => Draft): void {
  const changed = change(draftOf(conversation));
  memory.set(memoryKey(conversation), changed);
  write(conversation, changed);
}

/** Move what was written while a conversation was being created into that conversation. */
export function moveNewDraft(id: string): void {
  const draft = draftOf("new");
  changeDraft("new", () => EMPTY);
  changeDraft(id, () => draft);
  const asked = waiting.get();
  if (asked?.key === "new") waiting.set({ ...asked, key: id, assistantId: undefined });
}

function draftOf(conversation: string): Draft {
  return memory.get(memoryKey(conversation)) ?? read()[conversation] ?? EMPTY;
}

function memoryKey(conversation: string): string {
  return `${storageKey()}:${conversation}`;
}

/** Delete all drafts of the signed-in user, who is signing out. */
export function forgetDrafts(): void {
  memory.clear();
  localStorage.removeItem(storageKey());
}

function storageKey(): string {
  return PREFIX + subject();
}

function read(): Record<string, Draft> {
  try {
    return (JSON.parse(localStorage.getItem(storageKey()) ?? "null") as Record<string, Draft> | null) ?? {};
  } catch {
    return {};
  }
}

/** Write only this conversation's draft: other tabs store theirs in the same item. */
function write(conversation: string, draft: Draft): void {
  const { [conversation]: _, ...others } = read();
  const empty = draft.text === "" && draft.files.length === 0;
  const kept = Object.entries(empty ? others : { ...others, [conversation]: draft }).slice(-MAX_DRAFTS);
  try {
    localStorage.setItem(storageKey(), JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // Storage is full or forbidden. The draft then lasts until the page is closed.
  }
}
