import type { HLJSApi } from "highlight.js";
import { useDeferredValue, useEffect, useMemo, useState } from "react";

/** Longer code, in characters, is not highlighted. */
const MAX_LENGTH = 50_000;
/** Languages without their own grammar, by one that fits. */
const SIMILAR = { xml: ["vue", "svelte", "astro"], ini: ["terraform", "hcl", "tf"], javascript: ["json5"] };
let common: Promise<HLJSApi> | undefined;
let all: Promise<HLJSApi> | undefined;

/** Load the highlighter that supports a language: that of the usual languages, or else the one of all. Null if there is none. */
async function highlighterOf(language: string): Promise<HLJSApi | null> {
  common ??= import("highlight.js/lib/common").then(({ default: loaded }) => {
    for (const [languageName, names] of Object.entries(SIMILAR)) loaded.registerAliases(names, { languageName });
    return loaded;
  });
  const usual = await common;
  if (usual.getLanguage(language)) return usual;
  all ??= import("highlight.js").then((module) => module.default);
  const every = await all;
  return every.getLanguage(language) ? every : null;
}

/** Return code as HTML with classes; null if its language is unknown or not loaded yet. */
export function useHighlighted(code: string, language: string | null): string | null {
  const deferredCode = useDeferredValue(code);
  const [loaded, setLoaded] = useState<{ readonly highlighter: HLJSApi; readonly language: string } | null>(null);
  // Before the first line of code, the name of the language may be incomplete.
  const needed = code && language;
  useEffect(() => {
    if (!needed) return;
    let outdated = false;
    void highlighterOf(needed).then((highlighter) => {
      if (highlighter && !outdated) setLoaded({ highlighter, language: needed });
    }, () => undefined);
    return () => {
      outdated = true;
    };
  }, [needed]);
  return useMemo(() => {
    if (loaded === null || loaded.language !== language || deferredCode.length > MAX_LENGTH) return null;
    return loaded.highlighter.highlight(deferredCode, { language, ignoreIllegals: true }).value;
  }, [loaded, deferredCode, language]);
}
