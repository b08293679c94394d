import { apply, ended, initial, text, type State, type Status } from "@tertulia/stream";
import { useCallback, useEffect, useRef, useState } from "react";
import { EVENTS, STOP } from "./documents.ts";
import { payloadFailure, TertuliaError } from "./errors.ts";
import type { EventsSubscription } from "./operations.ts";
import { useTertulia } from "./provider.tsx";

/** An answer after the events so far. */
export interface Live {
  readonly state: State;
  /** The block that Claude writes now; null between two blocks. */
  readonly growing: number | null;
  /** How often the answer was interrupted and continued. */
  readonly continuations: number;
}

export interface Answer {
  /** The answer after the events so far; null before the first event. */
  readonly live: Live | null;
  /** Claude's text. */
  readonly text: string;
  /** Null before the first event. */
  readonly status: Status | null;
  /** Why the events cannot be read; null if they can. */
  readonly error: TertuliaError | null;
  /** Stop the answer. Its text is kept. Rejects with a `TertuliaError`. */
  readonly stop: () => Promise<void>;
}

type Event = EventsSubscription["generationEvents"];

const BEGINNING: Live = { state: initial, growing: null, continuations: 0 };

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

interface Followed {
  readonly generationId: string | null;
  readonly live: Live | null;
  readonly error: TertuliaError | null;
}

/**
 * Follow an answer while it is being written; null follows none.
 *
 * The first event is a snapshot, also after a refresh and after a lost connection. So no text is repeated or lost. `onEnd` is
 * called once, when the answer has ended and is stored.
 */
export function useAnswer(generationId: string | null, onEnd?: (state: State) => void): Answer {
  const client = useTertulia();
  const [followed, setFollowed] = useState<Followed>({ generationId: null, live: null, error: null });
  const latest = useRef(onEnd);
  latest.current = onEnd;
  useEffect(() => {
    if (generationId === null) return;
    let live = BEGINNING;
    return client.subscribe(EVENTS, { generationId }, {
      next({ generationEvents }) {
        const before = live;
        live = after(before, generationEvents);
        if (live === before) return;
        setFollowed({ generationId, live, error: null });
        if (ended(live.state)) latest.current?.(live.state);
      },
      error: (error) => setFollowed({ generationId, live: live === BEGINNING ? null : live, error }),
    });
  }, [client, generationId]);
  const stop = useCallback(async () => {
    if (generationId !== null) await stopGeneration(client, generationId);
  }, [client, generationId]);
  const current = generationId !== null && followed.generationId === generationId;
  const live = current ? followed.live : null;
  return { live, text: live ? text(live.state) : "", status: live?.state.status ?? null, error: current ? followed.error : null, stop };
}

/** Stop an answer. Rejects with a `TertuliaError`. */
export async function stopGeneration(client: ReturnType<typeof useTertulia>, generationId: string): Promise<void> {
  const failure = payloadFailure(await client.request(STOP, { id: generationId }));
  if (failure) throw new TertuliaError(failure);
}
