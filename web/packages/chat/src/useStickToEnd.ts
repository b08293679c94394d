import { useCallback, useEffect, useRef, useState } from "react";

/** At most this many pixels from its end, the list counts as scrolled to the end. */
const NEAR_END = 60;

/** Keep the end of a list visible while its content grows, unless the reader has scrolled away. */
export function useStickToEnd(content: unknown) {
  const ref = useRef<HTMLDivElement>(null);
  const sticks = useRef(true);
  const [away, setAway] = useState(false);
  const stick = useCallback(() => {
    sticks.current = true;
    setAway(false);
    ref.current?.scrollTo({ top: ref.current.scrollHeight });
  }, []);
  useEffect(stick, [content]);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const near = () => element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
    const follow = () => {
      if (sticks.current) element.scrollTop = element.scrollHeight;
      else setAway(!near());
    };
    const onScroll = () => {
      sticks.current = near();
      setAway(!sticks.current);
    };
    const contents = new MutationObserver(follow);
    contents.observe(element, { childList: true, subtree: true, characterData: true });
    const sizes = new ResizeObserver(follow);
    sizes.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      contents.disconnect();
      sizes.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, []);
  return { ref, stick, away };
}
