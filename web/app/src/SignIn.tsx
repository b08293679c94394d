import { useEffect, useState } from "react";
import { door, signIn, handIn, type Door } from "./session";

/** Sign-in of the mode `password`; with an identity provider, the place to hand in its token. */
export function SignIn() {
  const [way, setWay] = useState<Door | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Sign in · Tertulia";
    door().then(setWay, () => setProblem("The server cannot be reached. Try again."));
  }, []);
  return (
    <main className="signIn">
      <h1>Tertulia</h1>
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      {way?.auth === "password" && <Password open={way.registration === "open"} onProblem={setProblem} />}
      {way?.auth === "host" && <p>Sign in to the application that this page is a part of, then reload it.</p>}
      {way && way.auth !== "password" && way.auth !== "host" && <Token />}
    </main>
  );
}

function Password({ open, onProblem }: { open: boolean; onProblem: (problem: string | null) => void }) {
  const [making, setMaking] = useState(false);
  const [asking, setAsking] = useState(false);
  async function submit(form: FormData) {
    setAsking(true);
    onProblem(null);
    try {
      await signIn(making ? "auth/register" : "auth/token", String(form.get("username")), String(form.get("password")));
    } catch (error) {
      onProblem(error instanceof Error ? error.message : String(error));
      setAsking(false);
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
        <input name="password" type="password" autoComplete={making ? "new-password" : "current-password"} required />
      </label>
      <button type="submit" className="loud" disabled={asking}>{making ? "Make an account" : "Sign in"}</button>
      {open && (
        <button type="button" className="quiet" onClick={() => setMaking(!making)}>
          {making ? "I have an account" : "I have no account yet"}
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
        handIn(String(new FormData(event.currentTarget).get("token")).trim());
      }}
    >
      <p>This server takes tokens of an identity provider. Hand one in:</p>
      <label>Access token<input name="token" type="password" autoComplete="off" required autoFocus /></label>
      <button type="submit" className="loud">Go on</button>
    </form>
  );
}
