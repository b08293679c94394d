import { useState } from "react";
import { useMutation } from "urql";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { RateDocument, type RateMessageInput, type Rating, type TurnFragment } from "./operations";
import type { TurnActions } from "./Transcript";
import { complaint } from "./words";

/** The maximum that the server accepts, in characters. */
const MAX_COMMENT = 2000;
const BUTTONS = [
  { rating: "GOOD", label: "Good answer", icon: "thumbUp" },
  { rating: "BAD", label: "Bad answer", icon: "thumbDown" },
] as const;

interface Props {
  readonly turn: TurnFragment;
  readonly onProblem: TurnActions["onProblem"];
}

/** Buttons that rate an answer. A bad rating is stored at once; the comment can be added afterwards. */
export function RatingButtons({ turn, onProblem }: Props) {
  const [{ fetching }, rate] = useMutation(RateDocument);
  const [commenting, setCommenting] = useState(false);
  const current = turn.rating?.rating ?? null;
  const store = async (input: Omit<RateMessageInput, "messageId">) => complaint(await rate({ input: { messageId: turn.id, ...input } }));
  async function toggle(rating: Rating) {
    // The buttons are not disabled meanwhile, because they would lose the focus.
    if (fetching) return;
    const problem = await store({ rating: rating === current ? null : rating });
    onProblem(problem);
    if (!problem) setCommenting(rating === "BAD" && rating !== current);
  }
  return (
    <span className="ratings" role="group" aria-label="Rating">
      {BUTTONS.map(({ rating, label, icon }) => (
        <button key={rating} type="button" className="quiet" aria-pressed={current === rating} onClick={() => toggle(rating)} aria-label={label} title={label}>
          <Icon name={icon} />
        </button>
      ))}
      {commenting && (
        <CommentDialog onSave={(comment) => store({ rating: "BAD", comment })} onClose={() => setCommenting(false)} />
      )}
    </span>
  );
}

interface CommentDialogProps {
  /** Store the comment, and return the error message, or null. */
  readonly onSave: (comment: string) => Promise<string | null>;
  readonly onClose: () => void;
}

function CommentDialog({ onSave, onClose }: CommentDialogProps) {
  const [comment, setComment] = useState("");
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  async function save() {
    setSaving(true);
    const failure = await onSave(comment);
    setSaving(false);
    setProblem(failure);
    if (!failure) onClose();
  }
  return (
    <Dialog title="What was wrong?" onClose={onClose}>
      <form className="fields" onSubmit={(event) => { event.preventDefault(); void save(); }}>
        <label>
          Comment (optional)
          <textarea autoFocus dir="auto" rows={3} maxLength={MAX_COMMENT} value={comment} onChange={(event) => setComment(event.target.value)} />
        </label>
        {problem && <p className="notice trouble" role="alert">{problem}</p>}
        <div className="actions">
          <button type="button" className="quiet" onClick={onClose}>Skip</button>
          <button type="submit" className="loud" disabled={saving || comment.trim() === ""}>Send</button>
        </div>
      </form>
    </Dialog>
  );
}
