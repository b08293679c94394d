import { apply, ended, initial, text, type State, type Status } from "@tertulia/stream";
import { useEffect } from "react";
import { useSubscription } from "urql";
import { announce } from "./announce";
import { EventsDocument, type EventsSubscription } from "./operations";
import { sentence } from "./words";

const ENDS: Partial<Record<Status, string>> = { STOPPED: "The answer was stopped.", FAILED: "The answer failed." };

export interface Answer {
  /** The state after the events so far; null before the first event. */
  readonly state: State | null;
  readonly problem: string | null;
}

/**
 * Follow an answer while it is being written.
 *
 * The first event is a snapshot, also when graphql-ws subscribes again after a lost connection. So no text is repeated.
 */
export function useAnswer(generationId: string, live: boolean, onEnd: () => void): Answer {
  const [{ data, error }] = useSubscription<EventsSubscription, State, { generationId: string }>(
    { query: EventsDocument, variables: { generationId }, pause: !live },
    (state = initial, { generationEvents }) => apply(state, generationEvents),
  );
  const over = live && data !== undefined && ended(data);
  useEffect(() => {
    if (!over) return;
    onEnd();
    announce(ENDS[data.status] ?? `Claude says: ${text(data)}`);
  }, [over, onEnd]);
  return { state: live ? (data ?? null) : null, problem: live && error ? sentence(error) : null };
}
