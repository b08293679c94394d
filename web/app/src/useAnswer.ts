import { apply, ended, initial, text, type State, type Status } from "@tertulia/stream";
import { useEffect } from "react";
import { useSubscription } from "urql";
import { announce } from "./announce";
import { t, type MessageKey } from "./messages";
import { EventsDocument, type EventsSubscription } from "./operations";
import { requestProblem, type Problem } from "./problems";

const BEGINNING: Live = { state: initial, growing: null, continuations: 0 };
const ENDS: Partial<Record<Status, MessageKey>> = { STOPPED: "announce.stopped", FAILED: "announce.failed" };

/** An answer that is being written. */
interface Live {
  readonly state: State;
  /** The block that Claude writes now; null between two blocks. */
  readonly growing: number | null;
  /** How often the answer was interrupted and continued. */
  readonly continuations: number;
}

export interface Answer {
  /** The answer after the events so far; null before the first event. */
  readonly answer: Live | null;
  readonly problem: Problem | null;
}

type Event = EventsSubscription["generationEvents"];

function after(live: Live, event: Event): Live {
  const state = apply(live.state, event);
  // An old event changes nothing.
  return state === live.state ? live : { state, growing: growing(live, event), continuations: continuations(live, event) };
}

function growing(live: Live, event: Event): number | null {
  if (event.__typename === "MessageSnapshot") return event.message.content.at(-1)?.index ?? null;
  if (event.__typename === "ContentBlockFinished") return event.index === live.growing ? null : live.growing;
  return "index" in event ? event.index : live.growing;
}

function continuations(live: Live, event: Event): number {
  if (event.__typename === "MessageSnapshot") return event.generation.continuations;
  return event.__typename === "GenerationContinued" ? event.attempt : live.continuations;
}

/**
 * Follow an answer while it is being written.
 *
 * The first event is a snapshot, also when graphql-ws subscribes again after a lost connection. So no text is repeated.
 */
export function useAnswer(generationId: string, live: boolean, onEnd: () => void): Answer {
  const [{ data, error }] = useSubscription<EventsSubscription, Live, { generationId: string }>(
    { query: EventsDocument, variables: { generationId }, pause: !live },
    (before = BEGINNING, { generationEvents }) => after(before, generationEvents),
  );
  const over = live && data !== undefined && ended(data.state);
  useEffect(() => {
    if (!over) return;
    onEnd();
    const end = ENDS[data.state.status];
    announce(end ? t(end) : t("announce.answer", { text: text(data.state) }));
  }, [over, onEnd]);
  return { answer: live ? (data ?? null) : null, problem: live && error ? requestProblem(error) : null };
}
