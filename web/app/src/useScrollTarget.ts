import { useEffect, useRef, useState, type RefObject } from "react";

/** The message that the page scrolls to, and the callback after it has done so. */
export interface ScrollTarget {
  readonly messageId: string | null;
  readonly onReached: () => void;
}

interface ScrollTargetProps {
  readonly ref: RefObject<HTMLLIElement | null>;
  readonly "data-target": boolean;
}

/** Return the attributes of a message's list item. They scroll to it and briefly highlight it when it is the target. */
export function useScrollTarget(id: string, { messageId, onReached }: ScrollTarget): ScrollTargetProps {
  const ref = useRef<HTMLLIElement>(null);
  const [marked, setMarked] = useState(false);
  useEffect(() => {
    if (id !== messageId) return;
    ref.current?.scrollIntoView({ block: "start" });
    setMarked(true);
    onReached();
  }, [id, messageId, onReached]);
  return { ref, "data-target": marked };
}
