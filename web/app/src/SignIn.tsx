import { useEffect, useState } from "react";
import { fetchServerInfo, saveToken, signIn, type ServerInfo } from "./session";

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
      {server?.auth === "password" && <Password open={server.registration === "open"} onProblem={setProblem} />}
      {server?.auth === "host" && <p>Sign in to the application that this page is a part of, then reload it.</p>}
      {server && server.auth !== "password" && server.auth !== "host" && <Token />}
    </main>
  );
}

function Password({ open, onProblem }: { open: boolean; onProblem: (problem: string | null) => void }) {
  const [registering, setRegistering] = useState(false);
  const [submitting, setSubmitting] = useState(false);
  async function submit(form: FormData) {
    setSubmitting(true);
    onProblem(null);
    try {
      await signIn(registering ? "auth/register" : "auth/token", String(form.get("username")), String(form.get("password")));
    } catch (error) {
      onProblem(error instanceof Error ? error.message : String(error));
      setSubmitting(false);
    }
  }
  return (
    <form
      className="fields"
      onSubmit={(event) => {
        event.preventDefault();
        void submit(new FormData(event.currentTarget));
      }}
    >
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
