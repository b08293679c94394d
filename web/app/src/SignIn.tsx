import { useEffect, useState } from "react";
import { t } from "./messages";
import { problemOf, type Problem } from "./problems";
import { claiming, enterAsGuest, fetchServerInfo, signInProblem, saveToken, session, signIn, type ServerInfo } from "./session";
import { useStore } from "./store";
import { ProblemNotice } from "./ProblemNotice";

/** The sign-in form of the mode `password`, or a field for an identity provider's token. */
export default function SignIn() {
  const [server, setServer] = useState<ServerInfo | null>(null);
  const failed = useStore(signInProblem);
  const [problem, setProblem] = useState<Problem | null>(failed === null ? null : problemOf(failed));
  useEffect(() => {
    document.title = `${t("app.signInTitle")} · Tertulia`;
    fetchServerInfo().then(setServer, () => setProblem(problemOf(t("problem.unreachable"))));
  }, []);
  return (
    <main className="signIn">
      <h1>Tertulia</h1>
      <ProblemNotice problem={problem} />
      {server?.auth === "password" && <Password open={server.registration === "open"} guests={server.guests} onProblem={setProblem} />}
      {server?.auth === "host" && <p>{t("signIn.host")}</p>}
      {server?.provider && <Provider onProblem={setProblem} />}
      {server && !server.provider && server.auth !== "password" && server.auth !== "host" && <Token />}
    </main>
  );
}

interface PasswordProps {
  readonly open: boolean;
  readonly guests: boolean;
  readonly onProblem: (problem: Problem | null) => void;
}

function Password({ open, guests, onProblem }: PasswordProps) {
  const isGuest = useStore(session)?.guest === true;
  const [registering, setRegistering] = useState(isGuest && open);
  const [submitting, setSubmitting] = useState(false);
  async function attempt(work: () => Promise<void>) {
    setSubmitting(true);
    onProblem(null);
    try {
      await work();
    } catch (error) {
      onProblem(problemOf(error instanceof Error ? error.message : String(error)));
      setSubmitting(false);
    }
  }
  const submit = (form: FormData) =>
    attempt(() => signIn(registering ? "auth/register" : "auth/token", String(form.get("username")), String(form.get("password"))));
  return (
    <form
      className="fields"
      onSubmit={(event) => {
        event.preventDefault();
        void submit(new FormData(event.currentTarget));
      }}
    >
      {isGuest && <p>{t("signIn.guestNote")}</p>}
      <label>{t("signIn.name")}<input name="username" autoComplete="username" required autoFocus /></label>
      <label>
        {t("signIn.password")}
        <input name="password" type="password" autoComplete={registering ? "new-password" : "current-password"} required />
      </label>
      <button type="submit" className="loud" disabled={submitting}>{t(registering ? "signIn.create" : "signIn.signIn")}</button>
      {open && (
        <button type="button" className="quiet" onClick={() => setRegistering(!registering)}>
          {t(registering ? "signIn.haveAccount" : "signIn.noAccount")}
        </button>
      )}
      {isGuest && <button type="button" className="quiet" onClick={() => claiming.set(false)}>{t("signIn.back")}</button>}
      {guests && !isGuest && (
        <button type="button" className="plain" disabled={submitting} onClick={() => void attempt(enterAsGuest)}>{t("signIn.guest")}</button>
      )}
    </form>
  );
}

/** A button that leads to the identity provider, and a field for those who have a token. */
function Provider({ onProblem }: { onProblem: (problem: Problem | null) => void }) {
  const [leaving, setLeaving] = useState(false);
  async function leave() {
    setLeaving(true);
    onProblem(null);
    try {
      await (await import("./provider")).goToProvider();
    } catch (error) {
      onProblem(problemOf(error instanceof Error ? error.message : String(error)));
      setLeaving(false);
    }
  }
  return (
    <>
      <button type="button" className="loud" disabled={leaving} autoFocus onClick={() => void leave()}>{t("signIn.atProvider")}</button>
      <details>
        <summary>{t("signIn.withToken")}</summary>
        <Token />
      </details>
    </>
  );
}

function Token() {
  return (
    <form
      className="fields"
      onSubmit={(event) => {
        event.preventDefault();
        saveToken(String(new FormData(event.currentTarget).get("token")).trim());
      }}
    >
      <p>{t("signIn.provider")}</p>
      <label>{t("signIn.token")}<input name="token" type="password" autoComplete="off" required /></label>
      <button type="submit" className="loud">{t("signIn.continue")}</button>
    </form>
  );
}
