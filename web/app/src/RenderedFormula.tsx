import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Formula } from "./formulas";
import { t } from "./messages";

type Show = typeof import("./katex").showFormula;

/** Shows formulas; undefined until KaTeX is loaded, and null if it could not be loaded. */
let show: Show | null | undefined;
let loading: Promise<Show | null> | undefined;

/** Load the renderer of formulas. Call this early, so that the first formula appears at once. */
export function loadKatex(): Promise<Show | null> {
  loading ??= import("./katex").then((module) => module.showFormula, () => null).then((loaded) => (show = loaded));
  return loading;
}

/** A formula, or its source if KaTeX does not understand it. While KaTeX is being loaded, its place is empty. */
export function RenderedFormula({ tex, display, source }: Formula) {
  const element = useRef<HTMLSpanElement>(null);
  const [renderer, setRenderer] = useState(() => show);
  useEffect(() => {
    if (renderer === undefined) void loadKatex().then((loaded) => setRenderer(() => loaded));
  }, [renderer]);
  useLayoutEffect(() => {
    if (renderer && element.current) renderer(element.current, { tex, display, source });
  }, [renderer, tex, display, source]);
  const region = display ? { className: "formula display", tabIndex: 0, role: "group", "aria-label": t("content.formula") } : { className: "formula" };
  return <span dir="ltr" {...region} ref={element}>{renderer === null ? source : null}</span>;
}
