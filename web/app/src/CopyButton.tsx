import { useState } from "react";
import { Icon } from "./Icon";

const SHOWN = 1500;

/** Copies, and says that it did. Browsers let only pages of this machine or over TLS do so. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  if (!navigator.clipboard) return null;
  async function copy() {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), SHOWN);
  }
  return (
    <button type="button" className="quiet" onClick={copy} aria-label={done ? "Copied" : `Copy ${what}`} title="Copy">
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}
