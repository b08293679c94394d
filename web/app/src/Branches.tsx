import { useMutation } from "urql";
import { Icon } from "./Icon";
import { SelectBranchDocument, type TurnFragment } from "./operations";
import type { TurnActions } from "./Transcript";
import { complaint } from "./words";

/** Which of several versions of a message is shown, and the way to the others. */
export function Branches({ turn, onChanged, onProblem }: TurnActions & { readonly turn: TurnFragment }) {
  const [{ fetching }, select] = useMutation(SelectBranchDocument);
  const place = turn.siblings.findIndex(({ id }) => id === turn.id);
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
      <button type="button" className="quiet" aria-label="Version before" disabled={fetching || place === 0} onClick={() => go(place - 1)}>
        <Icon name="previous" />
      </button>
      <span>{place + 1} / {turn.siblings.length}</span>
      <button
        type="button"
        className="quiet"
        aria-label="Next version"
        disabled={fetching || place === turn.siblings.length - 1}
        onClick={() => go(place + 1)}
      >
        <Icon name="next" />
      </button>
    </span>
  );
}
