import { useState } from "react";
import { Icon } from "./Icon";

const CONFIRMATION_MS = 1500;

/** Copy a text, and confirm it. Browsers allow this only to pages from this machine or over TLS. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  if (!navigator.clipboard) return null;
  async function copy() {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), CONFIRMATION_MS);
  }
  return (
    <button type="button" className="quiet" onClick={copy} aria-label={done ? "Copied" : `Copy ${what}`} title="Copy">
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}
