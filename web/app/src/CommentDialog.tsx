import { useState } from "react";
import { Dialog } from "./Dialog";
import { t } from "./messages";
import type { Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";

/** The maximum that the server accepts, in characters. */
const MAX_COMMENT = 2000;

interface Props {
  readonly title: string;
  /** The comment of the rating; empty for none. */
  readonly stored: string;
  /** Store the comment, and return the problem, or null. An empty comment removes it. */
  readonly onSave: (comment: string) => Promise<Problem | null>;
  readonly onClose: () => void;
}

/** A dialog for the comment of a rating. */
export default function CommentDialog({ title, stored, onSave, onClose }: Props) {
  const [comment, setComment] = useState(stored);
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  async function save() {
    setSaving(true);
    const failure = await onSave(comment.trim());
    setSaving(false);
    setProblem(failure);
    if (!failure) onClose();
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="fields" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <label>
          {t("rating.comment")}
          <textarea autoFocus dir="auto" rows={3} maxLength={MAX_COMMENT} value={comment} onChange={(event) => setComment(event.target.value)} />
        </label>
        <ProblemNotice problem={problem} />
        <div className="actions">
          <button type="button" className="quiet" onClick={onClose}>{t(stored ? "common.cancel" : "rating.skip")}</button>
          <button type="submit" className="loud" disabled={saving || comment.trim() === stored}>{t(stored ? "common.save" : "common.send")}</button>
        </div>
      </form>
    </Dialog>
  );
}
