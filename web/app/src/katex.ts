// Loaded when the first formula is shown.
import "katex/dist/katex.min.css";
import katex from "katex";
import type { Formula } from "./formulas";

/** Hostile formulas could cover the page, or take forever. `maxSize` is in `em`. */
const LIMITS = { maxSize: 20, maxExpand: 1000, trust: false, strict: "ignore", throwOnError: true } as const;

/**
 * Show a formula in an element, or its source if KaTeX does not understand it. KaTeX sets styles through the DOM: the
 * Content-Security-Policy forbids style attributes in HTML.
 */
export function showFormula(element: HTMLElement, { tex, display, source }: Formula): void {
  try {
    katex.render(tex, element, { ...LIMITS, displayMode: display });
  } catch {
    element.textContent = source;
  }
}
