import { useState } from "react";
import { useMutation, useQuery } from "urql";
import { t } from "./messages";
import { DeleteMemoryDocument, MemoriesDocument, UpdateMemoryDocument, type MemoryFragment } from "./operations";
import { mutationProblem, requestProblem, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";

/** The files that assistants keep about the viewer, who can change and delete them. */
export function Memories() {
  const [{ data, error }, read] = useQuery({ query: MemoriesDocument, requestPolicy: "network-only" });
  const memories = data?.viewer.memories.edges.map(({ node }) => node) ?? [];
  const readAgain = () => read({ requestPolicy: "network-only" });
  if (error) return <ProblemNotice problem={requestProblem(error)} />;
  if (memories.length === 0) return data ? <p className="note">{t("memories.none")}</p> : null;
  return (
    <>
      <h3 id="memories">{t("memories.title")}</h3>
      <ul className="memories" aria-labelledby="memories">
        {memories.map((memory) => <Memory key={memory.id + memory.updatedAt} memory={memory} onChanged={readAgain} />)}
      </ul>
    </>
  );
}

function Memory({ memory, onChanged }: { memory: MemoryFragment; onChanged: () => void }) {
  const [content, setContent] = useState(memory.content);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [{ fetching: updating }, update] = useMutation(UpdateMemoryDocument);
  const [{ fetching: deleting }, remove] = useMutation(DeleteMemoryDocument);
  const name = memory.path.replace("/memories/", "");
  function done(failure: Problem | null) {
    setProblem(failure);
    if (!failure) onChanged();
  }
  async function save() {
    done(mutationProblem(await update({ input: { id: memory.id, content, expectedUpdatedAt: memory.updatedAt } })));
  }
  return (
    <li>
      <details>
        <summary>{name}{memory.assistant && <small> {memory.assistant.name}</small>}</summary>
        <form className="fields" onSubmit={(event) => { event.preventDefault(); void save(); }}>
          <textarea dir="auto" aria-label={t("memories.content", { name })} rows={5} value={content} onChange={({ target }) => setContent(target.value)} />
          <div className="actions">
            <button type="button" className="plain" disabled={deleting} aria-label={t("memories.delete", { name })} onClick={() => void remove({ id: memory.id }).then(mutationProblem).then(done)}>{t("common.delete")}</button>
            <button type="submit" className="loud" disabled={updating || content === memory.content} aria-label={t("memories.save", { name })}>{t("common.save")}</button>
          </div>
          <ProblemNotice problem={problem} />
        </form>
      </details>
    </li>
  );
}
