import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type Katex from "katex";
import type { Formula } from "./formulas";
import { t } from "./messages";

type Renderer = typeof Katex;

/** Hostile formulas could cover the page, or take forever. `maxSize` is in `em`. */
const LIMITS = { maxSize: 20, maxExpand: 1000, trust: false, strict: "ignore", throwOnError: true } as const;

/** KaTeX, once it is loaded, and null if it could not be loaded. */
let katex: Renderer | null | undefined;
let loading: Promise<Renderer | null> | undefined;

/** Load the renderer of formulas. Call this early, so that the first formula appears at once. */
export function loadKatex(): Promise<Renderer | null> {
  loading ??= import("./katex").then((module) => module.default, () => null).then((loaded) => (katex = loaded));
  return loading;
}

/** A formula, or its source if KaTeX does not understand it. While KaTeX is being loaded, its place is empty. */
export function RenderedFormula({ tex, display, source }: Formula) {
  const element = useRef<HTMLSpanElement>(null);
  const [renderer, setRenderer] = useState(() => katex);
  useEffect(() => {
    if (renderer === undefined) void loadKatex().then((loaded) => setRenderer(() => loaded));
  }, [renderer]);
  // KaTeX sets styles through the DOM. The Content-Security-Policy forbids style attributes in HTML.
  useLayoutEffect(() => {
    if (!renderer || !element.current) return;
    try {
      renderer.render(tex, element.current, { ...LIMITS, displayMode: display });
    } catch {
      element.current.textContent = source;
    }
  }, [renderer, tex, display, source]);
  const region = display ? { className: "formula display", tabIndex: 0, role: "group", "aria-label": t("content.formula") } : { className: "formula" };
  return <span dir="ltr" {...region} ref={element}>{renderer === null ? source : null}</span>;
}
