import { useEffect, useState } from "react";
import { claiming, enterAsGuest, fetchServerInfo, saveToken, session, signIn, type ServerInfo } from "./session";
import { useStore } from "./store";

/** The sign-in form of the mode `password`, or a field for an identity provider's token. */
export function SignIn() {
  const [server, setServer] = useState<ServerInfo | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Sign in · Tertulia";
    fetchServerInfo().then(setServer, () => setProblem("The server cannot be reached. Try again."));
  }, []);
  return (
    <main className="signIn">
      <h1>Tertulia</h1>
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      {server?.auth === "password" && <Password open={server.registration === "open"} guests={server.guests} onProblem={setProblem} />}
      {server?.auth === "host" && <p>Sign in to the application that this page is a part of, then reload it.</p>}
      {server && server.auth !== "password" && server.auth !== "host" && <Token />}
    </main>
  );
}

interface PasswordProps {
  readonly open: boolean;
  readonly guests: boolean;
  readonly onProblem: (problem: string | null) => void;
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
      onProblem(error instanceof Error ? error.message : String(error));
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
      {isGuest && <p>The account gets your conversations as a guest.</p>}
      <label>Name<input name="username" autoComplete="username" required autoFocus /></label>
      <label>
        Password
        <input name="password" type="password" autoComplete={registering ? "new-password" : "current-password"} required />
      </label>
      <button type="submit" className="loud" disabled={submitting}>{registering ? "Create account" : "Sign in"}</button>
      {open && (
        <button type="button" className="quiet" onClick={() => setRegistering(!registering)}>
          {registering ? "I already have an account" : "I do not have an account"}
        </button>
      )}
      {isGuest && <button type="button" className="quiet" onClick={() => claiming.set(false)}>Back to the conversations</button>}
      {guests && !isGuest && (
        <button type="button" className="plain" disabled={submitting} onClick={() => void attempt(enterAsGuest)}>Continue as guest</button>
      )}
    </form>
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
      <p>This server accepts access tokens of an identity provider.</p>
      <label>Access token<input name="token" type="password" autoComplete="off" required autoFocus /></label>
      <button type="submit" className="loud">Continue</button>
    </form>
  );
}
