import { useEffect, useMemo, useState } from "react";
import { Provider, useQuery } from "urql";
import { AccountDialog } from "./Account";
import { announced } from "./announce";
import { connect, lost } from "./client";
import { useReturnedConnection } from "./toolConnection";
import { Conversation } from "./Conversation";
import { Icon } from "./Icon";
import { StartDocument } from "./operations";
import { show, useConversationId } from "./route";
import { loadServerInfo } from "./serverInfo";
import { claiming, refused, session, subject } from "./session";
import { Sidebar } from "./Sidebar";
import { SignIn } from "./SignIn";
import { useStore } from "./store";
import { sentence } from "./words";

/** The page, connected with the current sign-in. */
export function App() {
  const signInRequired = useStore(refused);
  const guestSignsIn = useStore(claiming);
  // The connection is kept when a token is refreshed, and replaced when the user signs in or out.
  const signed = useStore(session);
  const connection = useMemo(() => connect(), [signed && subject(), signed?.guest]);
  useEffect(() => () => connection.close(), [connection]);
  if (signInRequired || guestSignsIn) return <SignIn />;
  return (
    <Provider value={connection.client}>
      <Page />
    </Provider>
  );
}

function Page() {
  const id = useConversationId();
  const [drawer, setDrawer] = useState(false);
  const [account, setAccount] = useState(false);
  const [{ data, error }, readAgain] = useQuery({ query: StartDocument });
  const connection = useReturnedConnection(() => readAgain({ requestPolicy: "network-only" }));
  useEffect(() => setDrawer(false), [id]);
  useEffect(() => void loadServerInfo().catch(() => undefined), []);
  useShortcuts(() => setDrawer((open) => !open));
  return (
    <div className="page" data-drawer={drawer}>
      <a className="skip" href="#text">To the message box</a>
      <p className="hidden" role="status">{useStore(announced)}</p>
      <Sidebar current={id} onClose={() => setDrawer(false)} onAccount={() => setAccount(true)} name={data?.viewer.name} />
      <div className="scrim" onClick={() => setDrawer(false)} />
      <main>
        <button type="button" className="quiet drawer" onClick={() => setDrawer(true)} aria-expanded={drawer} aria-label="Conversations">
          <Icon name="menu" />
        </button>
        <Conversation id={id} start={data}>
          {connection && <p className={connection.failed ? "notice trouble" : "notice"} role={connection.failed ? "alert" : "status"}>{connection.text}</p>}
          <Notices simulated={data?.models.some((model) => model.simulated) ?? false} problem={error ? sentence(error) : null} />
        </Conversation>
      </main>
      {account && <AccountDialog onClose={() => setAccount(false)} />}
    </div>
  );
}

function Notices({ simulated, problem }: { simulated: boolean; problem: string | null }) {
  const disconnected = useTrueFor(useStore(lost), 1500);
  return (
    <>
      {simulated && (
        <p className="notice" id="simulated">
          A simulated Claude answers. To use the real one, set <code>ANTHROPIC_API_KEY</code> and restart the server.
        </p>
      )}
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      {disconnected && (
        <p className="notice trouble" role="status">
          The connection is lost. Reconnecting… The answer continues in the meantime.
        </p>
      )}
    </>
  );
}

/** Return true once `value` has been true for this long, so that short interruptions show no notice. */
function useTrueFor(value: boolean, milliseconds: number): boolean {
  const [elapsed, setElapsed] = useState(false);
  useEffect(() => {
    if (!value) return setElapsed(false);
    const timer = setTimeout(() => setElapsed(true), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return elapsed;
}

function useShortcuts(toggleDrawer: () => void): void {
  useEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      if (!(event.metaKey || event.ctrlKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (key === "k" && !event.shiftKey) document.getElementById("search")?.focus();
      else if (key === "o" && event.shiftKey) show(null);
      else if (key === "b" && !event.shiftKey) toggleDrawer();
      else return;
      event.preventDefault();
    }
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
}
