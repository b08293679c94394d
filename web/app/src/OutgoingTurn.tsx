import { useSend, type Outgoing } from "@tertulia/react";
import { Attachment } from "./Attachment";
import { useDraft } from "./drafts";
import { t } from "./messages";
import { RetryButton, ProblemNotice } from "./ProblemNotice";
import { failureProblem } from "./problems";

/** A message that is being sent, or that waits for the connection, or that the server has refused. */
export function OutgoingTurn({ item: { key, to, draft, waiting, problem } }: { item: Outgoing }) {
  const { remove, retry } = useSend(to);
  const [, setDraft] = useDraft(to ?? "new");
  /** Move the message back to the message box, above what is written there. */
  function takeBack() {
    setDraft(({ text, files }) => ({ text: [draft.text, text].filter(Boolean).join("\n\n"), files: [...draft.files, ...files] }));
    remove(key);
    document.getElementById("text")?.focus();
  }
  const edit = <button type="button" className="quiet" onClick={takeBack}>{t("common.edit")}</button>;
  return (
    <li className="user" data-role="user" aria-busy={!problem}>
      <h2 className="hidden">{t("turn.you")}</h2>
      <div className="said" dir="auto">
        {draft.files.map((file) => <Attachment key={file.id} file={file} />)}
        {draft.text}
      </div>
      {waiting && !problem && <p className="note actions"><span role="status">{t("outgoing.waiting")}</span> {edit}</p>}
      <ProblemNotice problem={problem && failureProblem(problem)}>
        <RetryButton at={problem?.retryAt ?? null} onRetry={() => retry(key)} />
        {edit}
      </ProblemNotice>
    </li>
  );
}
