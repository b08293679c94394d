import { lazy, Suspense, useEffect, useState } from "react";
import { useMutation } from "urql";
import { Icon } from "./Icon";
import { t } from "./messages";
import { RateDocument, type RateMessageInput, type Rating, type TurnFragment } from "./operations";
import type { TurnActions } from "./Transcript";
import { mutationProblem } from "./problems";

const CommentDialog = lazy(() => import("./CommentDialog"));

const BUTTONS = [
  { rating: "GOOD", label: "rating.good", icon: "thumbUp" },
  { rating: "BAD", label: "rating.bad", icon: "thumbDown" },
] as const;

interface Props {
  readonly turn: TurnFragment;
  readonly onProblem: TurnActions["onProblem"];
}

/** Buttons that rate an answer. A rating is stored at once; its comment can be added and changed afterwards. */
export function RatingButtons({ turn, onProblem }: Props) {
  const [, rate] = useMutation(RateDocument);
  // The rating whose comment is being edited.
  const [commented, setCommented] = useState<Rating | null>(null);
  // The rating that this component has stored, until `turn` has it. A read that began earlier may end later.
  const [own, setOwn] = useState<{ rating: TurnFragment["rating"] } | null>(null);
  const { rating: current = null, comment = null, tags = [] } = (own ?? turn).rating ?? {};
  useEffect(() => {
    if (own && JSON.stringify(own.rating ?? null) === JSON.stringify(turn.rating ?? null)) setOwn(null);
  }, [own, turn.rating]);
  async function store(input: Pick<RateMessageInput, "rating" | "comment" | "tags">) {
    const result = await rate({ input: { messageId: turn.id, ...input } });
    const rated = result.data?.rateMessage;
    if (rated?.__typename === "RatedMessage") setOwn({ rating: rated.answer.rating });
    return mutationProblem(result);
  }
  // The rating that is being stored, and the one that was clicked meanwhile.
  const [storing, setStoring] = useState<Rating | null>(null);
  const [next, setNext] = useState<Rating | null>(null);
  useEffect(() => {
    if (storing || !next) return;
    setNext(null);
    void toggle(next);
  }, [storing, next]);
  async function toggle(rating: Rating) {
    // The buttons are not disabled meanwhile, because they would lose the focus. A double click counts once.
    if (storing) return setNext(rating === storing ? null : rating);
    setStoring(rating);
    const problem = await store(rating === current ? { rating: null } : { rating, comment, tags });
    setStoring(null);
    onProblem(problem);
    if (!problem) setCommented(rating === "BAD" && rating !== current ? rating : null);
  }
  return (
    <span className="ratings" role="group" aria-label={t("rating.group")}>
      {BUTTONS.map(({ rating, label, icon }) => (
        <button key={rating} type="button" className="quiet" aria-pressed={current === rating} onClick={() => toggle(rating)} aria-label={t(label)} title={t(label)}>
          <Icon name={icon} />
        </button>
      ))}
      {current && (
        <button type="button" className="quiet" onClick={() => setCommented(current)} aria-label={t(comment ? "rating.editComment" : "rating.addComment")} title={comment ?? t("rating.addComment")}>
          <Icon name="comment" />
        </button>
      )}
      {commented && (
        <Suspense>
          <CommentDialog
            title={t(commented === "BAD" ? "rating.whatWasWrong" : "rating.whatWasGood")}
            stored={comment ?? ""}
            onSave={(changed) => store({ rating: commented, comment: changed || null, tags })}
            onClose={() => setCommented(null)}
          />
        </Suspense>
      )}
    </span>
  );
}
