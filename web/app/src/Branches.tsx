import { useMutation } from "urql";
import { Icon } from "./Icon";
import { SelectBranchDocument, type TurnFragment } from "./operations";
import type { TurnActions } from "./Transcript";
import { complaint } from "./words";

/** The number of the version of a message that is shown, and buttons for the other versions. */
export function Branches({ turn, onChanged, onProblem }: TurnActions & { readonly turn: TurnFragment }) {
  const [{ fetching }, select] = useMutation(SelectBranchDocument);
  const position = turn.siblings.findIndex(({ id }) => id === turn.id);
  if (turn.siblings.length < 2) return null;
  async function go(to: number) {
    const other = turn.siblings[to];
    if (!other) return;
    const problem = complaint(await select({ messageId: other.id }));
    onProblem(problem);
    if (!problem) onChanged();
  }
  return (
    <span className="branches" role="group" aria-label="Versions">
      <button type="button" className="quiet" aria-label="Previous version" disabled={fetching || position === 0} onClick={() => go(position - 1)}>
        <Icon name="previous" />
      </button>
      <span>{position + 1} / {turn.siblings.length}</span>
      <button
        type="button"
        className="quiet"
        aria-label="Next version"
        disabled={fetching || position === turn.siblings.length - 1}
        onClick={() => go(position + 1)}
      >
        <Icon name="next" />
      </button>
    </span>
  );
}
