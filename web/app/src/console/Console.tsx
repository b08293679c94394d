import { lazy, Suspense, useEffect, useMemo, useRef, type ComponentType } from "react";
import { Provider } from "urql";
import { BASE } from "../base";
import { connect } from "../client";
import { refused, session, signOut, subject } from "../session";
import { useStore } from "../store";
import { Toasts } from "../Toasts";
import { Answers } from "./Answers";
import { Assistants } from "./Assistants";
import { Audit } from "./Audit";
import { useReading } from "./Loaded";
import { OperatorDocument } from "./operations";
import { Overview } from "./Overview";
import { address, follow, useParameters, VIEWS, viewOf, type Parameters, type View } from "./route";
import { ServerSettings } from "./ServerSettings";
import { text } from "./texts";
import { Tools } from "./Tools";
import { Users } from "./Users";
import { Webhooks } from "./Webhooks";

const SignIn = lazy(() => import("../SignIn"));
const CONTENT: Readonly<Record<View, ComponentType<{ parameters: Parameters }>>> = {
  overview: Overview,
  users: Users,
  answers: Answers,
  webhooks: Webhooks,
  tools: Tools,
  audit: Audit,
  assistants: Assistants,
  settings: ServerSettings,
};

/** The console, connected with the current sign-in, which it shares with the chat page. */
export function Console() {
  const signInRequired = useStore(refused);
  const signed = useStore(session);
  const connection = useMemo(() => connect(), [signed && subject(), signed?.guest]);
  useEffect(() => () => connection.close(), [connection]);
  if (signInRequired) return <Suspense><SignIn /></Suspense>;
  return <Provider value={connection.client}><Page /></Provider>;
}

/** Nothing of the console is read before it is known that the user is an operator. The server checks each request as well. */
function Page() {
  const { data, notice } = useReading(OperatorDocument, {});
  const parameters = useParameters();
  const view = viewOf(parameters);
  const Content = CONTENT[view];
  const isOperator = data?.viewer.roles.includes("operator") ?? false;
  const list = useRef<HTMLElement>(null);
  // On a phone, the list of views scrolls sideways.
  useEffect(() => {
    list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [view, isOperator]);
  useEffect(() => { document.title = `${text.views[view]} · ${text.title} · Tertulia`; }, [view]);
  return (
    <div className="console">
      <a className="skip" href="#content">{text.skip}</a>
      <header>
        <strong>Tertulia</strong>
        <nav aria-label={text.navigation} ref={list}>
          {isOperator && VIEWS.map((name) => (
            <a key={name} href={address(name)} onClick={follow} aria-current={name === view ? "page" : undefined}>{text.views[name]}</a>
          ))}
        </nav>
        <div>
          {data && <span dir="auto">{data.viewer.name}</span>}
          <a href={BASE}>{text.chat}</a>
          {session.get() && <button type="button" className="quiet" onClick={() => void leave()}>{text.signOut}</button>}
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        {notice}
        {data && (isOperator ? <Content key={view} parameters={parameters} /> : <NotAllowed name={data.viewer.name} />)}
        <Toasts />
      </main>
    </div>
  );
}

function NotAllowed({ name }: { name: string }) {
  return (
    <section>
      <h1>{text.notAllowed.title}</h1>
      <p>{text.notAllowed.why(name)} {text.notAllowed.how}</p>
      <pre>{`tertulia user role ${inShell(name)} operator`}</pre>
      {session.get() && <button type="button" className="loud" onClick={() => void leave()}>{text.notAllowed.otherAccount}</button>}
    </section>
  );
}

/** Return a word as a shell reads it. */
function inShell(word: string): string {
  return /^[\w.@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Sign out, and stay at this address. The drafts and unsent messages of the chat page are deleted, as when signing out there. */
async function leave(): Promise<void> {
  const [{ forgetDrafts }, { outbox }] = await Promise.all([import("../drafts"), import("../outbox")]);
  forgetDrafts();
  outbox.clear();
  await signOut(location.href);
}
