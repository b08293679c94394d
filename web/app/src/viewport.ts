/**
 * Keep the page as tall as the part of the window that an on-screen keyboard leaves visible. Safari shrinks only the visual
 * viewport, and scrolls the page. Other browsers resize the window, as index.html asks them to.
 */
export function followVisualViewport(): void {
  const viewport = window.visualViewport;
  viewport?.addEventListener("resize", () => {
    // Zooming in shrinks the visual viewport too.
    if (viewport.scale !== 1) return;
    const { style } = document.documentElement;
    if (viewport.height < innerHeight) style.setProperty("--visible-height", `${viewport.height}px`);
    else style.removeProperty("--visible-height");
    scrollTo(0, 0);
  });
}

/** Return whether focusing a field raises an on-screen keyboard, which the user should do. */
export function hasScreenKeyboard(): boolean {
  return matchMedia("(hover: none), (pointer: coarse)").matches;
}
