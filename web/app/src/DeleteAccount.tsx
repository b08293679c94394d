import { useState } from "react";
import { forgetDrafts } from "./drafts";
import { t } from "./messages";
import { outbox } from "./outbox";
import { problemOf, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";
import { deleteAccount } from "./session";

/** A form that deletes the account, after the user has typed its name. */
export function DeleteAccount({ name, needsPassword }: { name: string; needsPassword: boolean }) {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [deleting, setDeleting] = useState(false);
  async function submit(form: FormData) {
    setDeleting(true);
    setProblem(null);
    try {
      await deleteAccount(typed, String(form.get("password") ?? ""));
      forgetDrafts();
      outbox.clear();
    } catch (error) {
      setProblem(problemOf(error instanceof Error ? error.message : String(error)));
      setDeleting(false);
    }
  }
  return (
    <form className="fields" onSubmit={(event) => { event.preventDefault(); void submit(new FormData(event.currentTarget)); }}>
      <h3>{t("deleteAccount.title")}</h3>
      <p>{t("deleteAccount.text")}</p>
      <ul className="listed">
        <li>{t("deleteAccount.conversations")}</li>
        <li>{t("deleteAccount.memories")}</li>
        <li>{t("deleteAccount.tokens")}</li>
        <li>{t("deleteAccount.usage")}</li>
      </ul>
      {needsPassword && <label>{t("signIn.password")}<input name="password" type="password" autoComplete="current-password" required /></label>}
      <label>
        {t("deleteAccount.type", { name })}
        <input value={typed} autoComplete="off" autoCapitalize="none" spellCheck={false} onChange={({ target }) => setTyped(target.value)} />
      </label>
      <ProblemNotice problem={problem} />
      <div className="actions"><button type="submit" className="danger" disabled={typed !== name || deleting}>{t("deleteAccount.do")}</button></div>
    </form>
  );
}
