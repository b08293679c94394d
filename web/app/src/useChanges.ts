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
  // Counted, so that of several that come at once none hides another.
  const [{ data: concerning = 0 }] = useSubscription<ChangesSubscription, number>(
    { query: ChangesDocument },
    (count = 0, { conversationChanges }) => count + Number(concerns(conversationChanges)),
  );
  useEffect(() => {
    if (concerning > 0) read();
  }, [concerning]);
  const again = useStore(returns);
  useEffect(() => {
    if (again > 0) read();
  }, [again]);
}
