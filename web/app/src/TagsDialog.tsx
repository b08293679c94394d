import { useId, useState } from "react";
import { useMutation } from "urql";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { t } from "./messages";
import { UpdateDocument, type EntryFragment } from "./operations";
import { mutationProblem, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";
import { useTags } from "./Tags";

/** The limits of this page. The metadata, which has the tags, may have at most 100 items. */
const MAX_TAGS = 20;
const MAX_LENGTH = 50;

/** A dialog that adds tags to a conversation, and removes them. */
export default function TagsDialog({ entry, onClose }: { entry: EntryFragment; onClose: () => void }) {
  const [tags, setTags] = useState(entry.tags);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [{ fetching }, update] = useMutation(UpdateDocument);
  const known = useTags().filter((tag) => !tags.includes(tag));
  const list = useId();
  async function save(changed: readonly string[]) {
    const failure = mutationProblem(await update({ input: { id: entry.id, metadata: { tags: changed.length > 0 ? changed : null } } }));
    setProblem(failure);
    if (failure) return;
    setTags(changed);
    setText((now) => (changed.includes(now.trim()) ? "" : now));
  }
  const added = text.trim();
  return (
    <Dialog title={t("tags.title")} onClose={onClose}>
      {tags.length > 0 && (
        <ul className="files" aria-label={t("tags.title")}>
          {tags.map((tag) => (
            <li key={tag}>
              <bdi>{tag}</bdi>
              <button type="button" className="quiet" disabled={fetching} aria-label={t("tags.remove", { tag })} onClick={() => void save(tags.filter((other) => other !== tag))}>
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <form
        className="fields"
        onSubmit={(event) => {
          event.preventDefault();
          if (added && !tags.includes(added)) void save([...tags, added]);
        }}
      >
        <label>
          {t("tags.new")}
          <input autoFocus dir="auto" value={text} maxLength={MAX_LENGTH} list={list} disabled={tags.length >= MAX_TAGS} onChange={({ target }) => setText(target.value)} />
        </label>
        <datalist id={list}>{known.map((tag) => <option key={tag} value={tag} />)}</datalist>
        {tags.length >= MAX_TAGS && <p className="note">{t("tags.most", { count: MAX_TAGS })}</p>}
        <ProblemNotice problem={problem} />
        <div className="actions"><button type="submit" className="loud" disabled={fetching || !added}>{t("tags.add")}</button></div>
      </form>
    </Dialog>
  );
}
