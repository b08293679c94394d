import { useState } from "react";
import { t } from "./messages";
import { problemOf, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";
import { changePassword } from "./session";

/** A form that changes the password, which signs the user out on all other devices. */
export function PasswordForm({ name }: { name: string }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [state, setState] = useState<"open" | "sending" | "done">("open");
  async function submit(form: HTMLFormElement) {
    const value = (field: string) => String(new FormData(form).get(field));
    setProblem(null);
    if (value("new") !== value("repeated")) return setProblem(problemOf(t("password.different")));
    setState("sending");
    try {
      await changePassword(value("current"), value("new"));
      form.reset();
      setState("done");
    } catch (error) {
      setProblem(problemOf(error instanceof Error ? error.message : String(error)));
      setState("open");
    }
  }
  return (
    <form className="fields" onSubmit={(event) => { event.preventDefault(); void submit(event.currentTarget); }}>
      <h3>{t("password.title")}</h3>
      {/* For password managers, which store the password with the name. */}
      <input className="hidden" name="username" autoComplete="username" value={name} readOnly tabIndex={-1} aria-hidden="true" />
      <label>{t("password.current")}<input name="current" type="password" autoComplete="current-password" required /></label>
      <label>{t("password.new")}<input name="new" type="password" autoComplete="new-password" minLength={8} required /></label>
      <label>{t("password.repeat")}<input name="repeated" type="password" autoComplete="new-password" minLength={8} required /></label>
      <p className="note">{t("password.note")}</p>
      <ProblemNotice problem={problem} />
      {state === "done" && <p className="notice" role="status">{t("password.done")}</p>}
      <div className="actions"><button type="submit" className="loud" disabled={state === "sending"}>{t("password.change")}</button></div>
    </form>
  );
}
