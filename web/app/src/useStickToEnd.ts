import { useCallback, useEffect, useRef, useState } from "react";

const NEAR = 80;

/**
 * Keep the end of a scrolling element in sight while its content grows, unless the reader has scrolled away.
 *
 * @param of What the element shows: another one begins at its end, or `elsewhere`.
 */
export function useStickToEnd<Element extends HTMLElement>(of: unknown, elsewhere: boolean) {
  const ref = useRef<Element>(null);
  const sticks = useRef(true);
  const [away, setAway] = useState(false);
  const stick = useCallback(() => {
    sticks.current = true;
    setAway(false);
    ref.current?.scrollTo({ top: ref.current.scrollHeight });
  }, []);
  /** Stay at what the page has just scrolled to. */
  const release = useCallback(() => {
    sticks.current = false;
    setAway(ref.current !== null && !near(ref.current));
  }, []);
  const begin = elsewhere ? release : stick;
  useEffect(() => begin(), [of]);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const follow = () => {
      if (sticks.current) element.scrollTop = element.scrollHeight;
      else setAway(!near(element));
    };
    const noted = () => {
      sticks.current = near(element);
      setAway(!sticks.current);
    };
    const grown = new MutationObserver(follow);
    grown.observe(element, { childList: true, subtree: true, characterData: true });
    const sized = new ResizeObserver(follow);
    sized.observe(element);
    element.addEventListener("scroll", noted, { passive: true });
    return () => {
      grown.disconnect();
      sized.disconnect();
      element.removeEventListener("scroll", noted);
    };
  }, []);
  return { ref, stick, release, away };
}

function near(element: HTMLElement): boolean {
  return element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
}
