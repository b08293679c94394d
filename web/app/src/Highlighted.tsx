import { useHighlighted } from "./highlighter";
import { shown, t } from "./messages";
import { useStore } from "./store";

/** Code that scrolls on its own, also by keyboard. */
export function Highlighted({ code, language }: { code: string; language: string | null }) {
  useStore(shown);
  const html = useHighlighted(code, language);
  return (
    <pre tabIndex={0} aria-label={t("content.code")}>
      {html === null ? <code>{code}</code> : <code dangerouslySetInnerHTML={{ __html: html }} />}
    </pre>
  );
}
