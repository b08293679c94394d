import type { Client } from "urql";
import { t } from "./messages";
import { DeleteDocument } from "./operations";
import { mutationProblem } from "./problems";
import { show } from "./route";
import { store } from "./store";
import { toast, TOAST_MS } from "./toasts";

/** The conversations that are hidden, because they are being deleted. */
export const deleted = store<ReadonlySet<string>>(new Set());
/** How to delete, at once, the conversations whose deletion can still be undone. */
const pending = new Map<string, () => Promise<void>>();

interface Deletion {
  readonly id: string;
  readonly title: string;
  /** Whether the page shows the conversation. */
  readonly current: boolean;
}

/** Hide a conversation, and delete it after a few seconds in which the user can undo that. */
export function deleteLater(client: Client, { id, title, current }: Deletion): void {
  const timer = setTimeout(() => void commit(), TOAST_MS);
  const removeToast = toast(t("delete.done", { title }), { label: t("common.undo"), run: undo });
  hide(id, true);
  pending.set(id, commit);
  if (current) show(null, { replace: true });

  function settle() {
    clearTimeout(timer);
    pending.delete(id);
    removeToast();
  }
  function undo() {
    settle();
    hide(id, false);
    if (current) show(id, { replace: true });
  }
  async function commit() {
    settle();
    // `keepalive` lets the request finish if the page is being closed.
    const problem = mutationProblem(await client.mutation(DeleteDocument, { id }, { fetchOptions: { keepalive: true } }));
    if (!problem) return;
    hide(id, false);
    toast(t("delete.failed", { title, problem: problem.text }));
  }
}

/** Delete what can still be undone, because the user leaves. */
export async function finishDeletions(): Promise<void> {
  await Promise.all(Array.from(pending.values(), (commit) => commit()));
}

addEventListener("pagehide", () => void finishDeletions());

function hide(id: string, hidden: boolean): void {
  const ids = new Set(deleted.get());
  if (hidden) ids.add(id);
  else ids.delete(id);
  deleted.set(ids);
}
