import { useEffect } from "react";
import { t, type MessageKey } from "./messages";
import type { GenerationStatus, TurnFragment } from "./operations";
import { store } from "./store";
import { final, textOf } from "./words";

/** The characters of an answer that are read aloud. */
const MAX_LENGTH = 600;
const ENDS: Partial<Record<GenerationStatus, MessageKey>> = { STOPPED: "announce.stopped", FAILED: "announce.failed" };

/** The text that screen readers announce: a whole answer, not each word. */
export const announced = store("");
/** The ids of the generations that were running or were asked for here. A short one may end before the page first reads it. */
const expected = new Set<string>();

/** Announce the end of a generation that was asked for here. */
export function expectEnd(generationId: string): void {
  expected.add(generationId);
}

/** Announce the end of each answer to screen readers, once, unless it had ended before the user came. */
export function useAnnouncements(turns: readonly TurnFragment[]): void {
  // After each render, because a message can be read from the server before the response to its sending is.
  useEffect(() => {
    for (const { generation, content } of turns) {
      if (!generation) continue;
      if (!final(generation.status)) expected.add(generation.id);
      else if (expected.delete(generation.id)) announce(generation.status, textOf(content));
    }
  });
}

function announce(status: GenerationStatus, text: string): void {
  const end = ENDS[status];
  announced.set(end ? t(end) : t("announce.answer", { text: text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)} …` : text }));
}
