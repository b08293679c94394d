import { useEffect, useRef, useState, type RefObject } from "react";

/** The message that the page was asked to scroll to, and what to call once it is in sight. */
export interface ScrollTarget {
  readonly messageId: string | null;
  readonly onReached: () => void;
}

interface ScrollTargetProps {
  readonly ref: RefObject<HTMLLIElement | null>;
  readonly "data-target": boolean;
}

/** Return the attributes of a message's list item that scroll to it, and mark it for a moment, when it is the target. */
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
