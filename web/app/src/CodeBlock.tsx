import type { HLJSApi } from "highlight.js";
import { isValidElement, useDeferredValue, useEffect, useMemo, useState, type ComponentProps, type ReactNode } from "react";
import { CopyButton } from "./CopyButton";
import { shown, t } from "./messages";
import { useStore } from "./store";

/** Longer code, in characters, is not highlighted. */
const MAX_LENGTH = 50_000;
let loading: Promise<HLJSApi> | undefined;

/** Load the highlighter when the first code block is shown. */
function highlighter(): Promise<HLJSApi> {
  loading ??= import("highlight.js/lib/common").then((module) => module.default);
  return loading;
}

export function CodeBlock({ children }: ComponentProps<"pre">) {
  useStore(shown);
  const { code, language } = read(children);
  const deferredCode = useDeferredValue(code);
  const [painter, setPainter] = useState<HLJSApi | null>(null);
  useEffect(() => {
    void highlighter().then((loaded) => setPainter(() => loaded));
  }, []);
  const painted = useMemo(() => {
    if (!painter || deferredCode.length > MAX_LENGTH || !language || !painter.getLanguage(language)) return null;
    return painter.highlight(deferredCode, { language, ignoreIllegals: true }).value;
  }, [painter, deferredCode, language]);
  return (
    <figure className="code" dir="ltr">
      <figcaption>
        <span>{language ?? "text"}</span>
        <CopyButton text={code} label={t("copy.code")} />
      </figcaption>
      <pre tabIndex={0} aria-label={t("content.code")}>
        {painted === null ? <code>{code}</code> : <code dangerouslySetInnerHTML={{ __html: painted }} />}
      </pre>
    </figure>
  );
}

function read(children: ReactNode): { code: string; language: string | null } {
  if (!isValidElement<{ children?: ReactNode; className?: string }>(children)) return { code: textOf(children), language: null };
  const language = /\blang(?:uage)?-([\w+#-]+)/.exec(children.props.className ?? "")?.[1] ?? null;
  return { code: textOf(children.props.children).replace(/\n$/, ""), language };
}

function textOf(node: ReactNode): string {
  if (Array.isArray(node)) return node.map(textOf).join("");
  return typeof node === "string" || typeof node === "number" ? String(node) : "";
}
