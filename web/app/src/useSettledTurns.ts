import { useEffect, type RefObject } from "react";

/** Finished turns, apart from the last ones, which are usually visible. */
const FINISHED = ".turns > li:not([aria-busy=true], [data-settled], :nth-last-child(-n + 3))";

/**
 * Mark turns that have been displayed once, so that style.css can let the browser skip them while they are out of sight. By then
 * the browser has remembered their height: nothing moves when they are skipped. This keeps long conversations smooth.
 */
export function useSettledTurns(scroller: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => {
      timer = undefined;
      for (const turn of element.querySelectorAll<HTMLElement>(FINISHED)) turn.dataset.settled = "";
    };
    const observer = new MutationObserver(() => {
      timer ??= setTimeout(settle, 300);
    });
    observer.observe(element, { childList: true, subtree: true });
    return () => {
      observer.disconnect();
      clearTimeout(timer);
    };
  }, [scroller]);
}
