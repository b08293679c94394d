import { useState } from "react";
import { Icon } from "./Icon";
import { t } from "./messages";
import { toast } from "./toasts";

const CONFIRMATION_MS = 1500;

/** Copy a text, and confirm it. Browsers allow this only to pages from this machine or over TLS. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  if (!navigator.clipboard) return null;
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      toast(t("copy.failed"));
      return;
    }
    setDone(true);
    setTimeout(() => setDone(false), CONFIRMATION_MS);
  }
  return (
    <button type="button" className="quiet" data-copy onClick={copy} aria-label={done ? t("copy.copied") : label} title={t("copy.title")}>
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}
