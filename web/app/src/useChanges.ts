import { useConversationChanges, type Change } from "@tertulia/react";
import { useEffect } from "react";
import { returns } from "./client";
import { useStore } from "./store";

/** Call `read` after a change that was made on another device, in another tab, or while the socket was disconnected. */
export function useChanges(concerns: (change: Change) => boolean, read: () => void): void {
  useConversationChanges((change) => {
    if (concerns(change)) read();
  });
  const again = useStore(returns);
  useEffect(() => {
    if (again > 0) read();
  }, [again]);
}
