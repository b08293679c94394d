import { useState, type ReactNode } from "react";
import type { CombinedError } from "urql";
import { Dialog } from "../Dialog";
import { mutationProblem, type Problem } from "../problems";
import { ProblemNotice } from "../ProblemNotice";
import { text } from "./texts";

interface Props {
  /** The button's text, and that of the button which confirms. */
  readonly name: string;
  /** The dialog's title, which names what is affected. */
  readonly title: string;
  /** What the action does, as far as it cannot be undone. */
  readonly explanation: string;
  readonly run: () => Promise<{ error?: CombinedError | undefined; data?: object | undefined }>;
  readonly onDone: () => void;
  /** A name that must be typed first, for what cannot be undone. */
  readonly typed?: string;
  readonly danger?: boolean;
  readonly children?: ReactNode;
}

/** A button for an action that is confirmed once, in a dialog that says what it does. */
export function Action({ name, title, danger = false, ...more }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className={danger ? "danger small" : "plain small"} onClick={() => setOpen(true)}>{name}</button>
      {open && <Confirmation {...more} name={name} title={title} danger={danger} onClose={() => setOpen(false)} />}
    </>
  );
}

function Confirmation({ name, title, explanation, run, onDone, typed, danger, children, onClose }: Props & { onClose: () => void }) {
  const [entry, setEntry] = useState("");
  const [running, setRunning] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function confirm() {
    setRunning(true);
    const failure = mutationProblem(await run());
    setProblem(failure);
    setRunning(false);
    if (failure) return;
    onClose();
    onDone();
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="fields" onSubmit={(event) => { event.preventDefault(); void confirm(); }}>
        <p>{explanation}</p>
        {children}
        {typed !== undefined && (
          <label>
            {text.typeToConfirm(typed)}
            <input value={entry} autoComplete="off" autoCapitalize="none" spellCheck={false} onChange={({ target }) => setEntry(target.value)} />
          </label>
        )}
        <ProblemNotice problem={problem} />
        <div className="actions">
          <button type="button" className="plain" onClick={onClose}>{text.cancel}</button>
          <button type="submit" className={danger ? "danger" : "loud"} disabled={running || (typed !== undefined && entry !== typed)}>{name}</button>
        </div>
      </form>
    </Dialog>
  );
}
