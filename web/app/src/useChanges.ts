import { useEffect } from "react";
import { useSubscription } from "urql";
import { returns } from "./client";
import { ChangesDocument, type ChangesSubscription } from "./operations";
import { useStore } from "./store";

type Change = ChangesSubscription["conversationChanges"];

/**
 * Call `read` after a change that was made on another device, in another tab, or while the socket was disconnected.
 * All callers share one subscription.
 */
export function useChanges(concerns: (change: Change) => boolean, read: () => void): void {
  // Counted, so that changes which arrive at the same time do not hide each other.
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
