import { store } from "./store";

/** A notice that disappears by itself. */
export interface Toast {
  readonly key: number;
  readonly text: string;
  /** What the user can do, such as undo. */
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** The time that a notice is shown, in milliseconds. */
export const TOAST_MS = 8_000;
export const toasts = store<readonly Toast[]>([]);
let count = 0;

/** Show a notice, and return a function that removes it. */
export function toast(text: string, action?: Toast["action"]): () => void {
  const key = (count += 1);
  const remove = () => toasts.set(toasts.get().filter((other) => other.key !== key));
  toasts.set([...toasts.get(), { key, text, ...(action && { action }) }]);
  setTimeout(remove, TOAST_MS);
  return remove;
}
