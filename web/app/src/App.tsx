import { useEffect, useMemo, useState } from "react";
import { Provider, useQuery } from "urql";
import { AccountDialog } from "./Account";
import { announced } from "./announce";
import { connect, lost } from "./client";
import { Conversation } from "./Conversation";
import { askWhatIsOn } from "./exportable";
import { Icon } from "./Icon";
import { StartDocument } from "./operations";
import { show, useConversationId } from "./route";
import { refused, session } from "./session";
import { Sidebar } from "./Sidebar";
import { SignIn } from "./SignIn";
import { useStore } from "./store";
import { sentence } from "./words";

/** The page, connected as whoever is signed in. */
export function App() {
  const who = useStore(session);
  const unknown = useStore(refused);
  // A refreshed token is the same sign-in; another sign-in starts anew.
  const signedIn = who !== null;
  const connection = useMemo(() => connect(), [signedIn]);
  useEffect(() => () => connection.close(), [connection]);
  if (unknown) return <SignIn />;
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
  const [{ data, error }] = useQuery({ query: StartDocument });
  useEffect(() => setDrawer(false), [id]);
  useEffect(() => void askWhatIsOn().catch(() => undefined), []);
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
        <Conversation id={id} models={data?.models ?? []} tools={data?.tools ?? []}>
          <Notices simulated={data?.models.some((model) => model.simulated) ?? false} problem={error ? sentence(error) : null} />
        </Conversation>
      </main>
      {account && <AccountDialog onClose={() => setAccount(false)} />}
    </div>
  );
}

function Notices({ simulated, problem }: { simulated: boolean; problem: string | null }) {
  const away = useLate(useStore(lost), 1500);
  return (
    <>
      {simulated && (
        <p className="notice" id="simulated">
          The simulated Claude answers. Set <code>ANTHROPIC_API_KEY</code> and start again for the real one.
        </p>
      )}
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      {away && (
        <p className="notice trouble" role="status">
          The connection is lost. It is tried again; what Claude writes meanwhile is kept.
        </p>
      )}
    </>
  );
}

/** Give `value`, but true only where it has been so for a while: what is over in a moment needs no words. */
function useLate(value: boolean, milliseconds: number): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!value) return setLate(false);
    const timer = setTimeout(() => setLate(true), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return late;
}

function useShortcuts(toggleDrawer: () => void): void {
  useEffect(() => {
    function take(event: KeyboardEvent) {
      if (!(event.metaKey || event.ctrlKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (key === "k" && !event.shiftKey) document.getElementById("search")?.focus();
      else if (key === "o" && event.shiftKey) show(null);
      else if (key === "b" && !event.shiftKey) toggleDrawer();
      else return;
      event.preventDefault();
    }
    addEventListener("keydown", take);
    return () => removeEventListener("keydown", take);
  }, []);
}
