import { useEffect } from "react";
import { useSubscription } from "urql";
import { returns } from "./client";
import { ChangesDocument, type ChangesSubscription } from "./operations";
import { useStore } from "./store";

type Change = ChangesSubscription["conversationChanges"];

/**
 * Call `read` where something may have changed that is not seen from here: on another device, in another tab, or while the
 * socket was lost. All callers share one subscription.
 */
export function useChanges(concerns: (change: Change) => boolean, read: () => void): void {
  const [{ data }] = useSubscription({ query: ChangesDocument });
  const change = data?.conversationChanges;
  useEffect(() => {
    if (change && concerns(change)) read();
    // Each change once: `concerns` and `read` are new at each rendering.
  }, [change]);
  const again = useStore(returns);
  useEffect(() => {
    if (again > 0) read();
  }, [again]);
}
