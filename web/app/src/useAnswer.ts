import { useAnswer as useStreamedAnswer, type Live } from "@tertulia/react";
import { failureProblem, type Problem } from "./problems";

export interface Answer {
  /** The answer after the events so far; null before the first event. */
  readonly answer: Live | null;
  readonly problem: Problem | null;
}

/** Follow an answer while it is being written. `onEnd` is called when it has ended. */
export function useAnswer(generationId: string, live: boolean, onEnd: () => void): Answer {
  const { live: answer, error } = useStreamedAnswer(live ? generationId : null, onEnd);
  return { answer, problem: error && failureProblem(error.failure) };
}
