import { useMutation } from "urql";
import { Icon } from "./Icon";
import { t } from "./messages";
import { SelectBranchDocument, type TurnFragment } from "./operations";
import { mutationProblem } from "./problems";
import type { TurnActions } from "./Transcript";

/** The number of the version of a message that is shown, and buttons for the other versions. */
export function Branches({ turn, onChanged, onProblem }: TurnActions & { readonly turn: TurnFragment }) {
  const [{ fetching }, select] = useMutation(SelectBranchDocument);
  const position = turn.siblings.findIndex(({ id }) => id === turn.id);
  if (turn.siblings.length < 2) return null;
  async function go(to: number) {
    const other = turn.siblings[to];
    if (!other) return;
    const problem = mutationProblem(await select({ messageId: other.id }));
    onProblem(problem);
    if (!problem) onChanged();
  }
  return (
    <span className="branches" role="group" aria-label={t("turn.versions")}>
      <button type="button" className="quiet" aria-label={t("turn.previousVersion")} disabled={fetching || position === 0} onClick={() => go(position - 1)}>
        <Icon name="previous" />
      </button>
      <span>{t("turn.version", { position: position + 1, count: turn.siblings.length })}</span>
      <button
        type="button"
        className="quiet"
        aria-label={t("turn.nextVersion")}
        disabled={fetching || position === turn.siblings.length - 1}
        onClick={() => go(position + 1)}
      >
        <Icon name="next" />
      </button>
    </span>
  );
}
