import { text, type Status } from "@tertulia/stream";
import { useAnswer as useStreamedAnswer, type Live } from "@tertulia/react";
import { announce } from "./announce";
import { t, type MessageKey } from "./messages";
import { failureProblem, type Problem } from "./problems";

const ENDS: Partial<Record<Status, MessageKey>> = { STOPPED: "announce.stopped", FAILED: "announce.failed" };

export interface Answer {
  /** The answer after the events so far; null before the first event. */
  readonly answer: Live | null;
  readonly problem: Problem | null;
}

/** Follow an answer while it is being written, and announce its end to screen readers. */
export function useAnswer(generationId: string, live: boolean, onEnd: () => void): Answer {
  const { live: answer, error } = useStreamedAnswer(live ? generationId : null, (state) => {
    onEnd();
    const end = ENDS[state.status];
    announce(end ? t(end) : t("announce.answer", { text: text(state) }));
  });
  return { answer, problem: error && failureProblem(error.failure) };
}
