import { useCallback, useEffect, useRef, useState } from "react";

/** At most this many pixels from its end, an element counts as scrolled to the end. */
const NEAR_END = 80;

/**
 * Keep the end of a scrolling element visible while its content grows, unless the reader has scrolled away.
 *
 * @param content Identifies what the element shows. When it changes, the element scrolls to its end.
 * @param elsewhere Whether the page scrolls to a message instead of the end.
 */
export function useStickToEnd<Element extends HTMLElement>(content: unknown, elsewhere: boolean) {
  const ref = useRef<Element>(null);
  const sticks = useRef(true);
  const [away, setAway] = useState(false);
  const stick = useCallback(() => {
    sticks.current = true;
    setAway(false);
    ref.current?.scrollTo({ top: ref.current.scrollHeight });
  }, []);
  /** Stay at the message that the page has just scrolled to. */
  const release = useCallback(() => {
    sticks.current = false;
    setAway(ref.current !== null && !near(ref.current));
  }, []);
  const begin = elsewhere ? release : stick;
  useEffect(() => begin(), [content]);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const follow = () => {
      if (sticks.current) element.scrollTop = element.scrollHeight;
      else setAway(!near(element));
    };
    const onScroll = () => {
      sticks.current = near(element);
      setAway(!sticks.current);
    };
    const contentObserver = new MutationObserver(follow);
    contentObserver.observe(element, { childList: true, subtree: true, characterData: true });
    const sizeObserver = new ResizeObserver(follow);
    sizeObserver.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      contentObserver.disconnect();
      sizeObserver.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, []);
  return { ref, stick, release, away };
}

function near(element: HTMLElement): boolean {
  return element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
}
