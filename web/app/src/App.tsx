import { TertuliaProvider } from "@tertulia/react";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { Provider, useQuery } from "urql";
import { announced } from "./announce";
import { opened } from "./artifacts";
import { connect, lost } from "./client";
import { useReturnedConnection } from "./toolConnection";
import { Conversation } from "./Conversation";
import { Icon } from "./Icon";
import { shown, t } from "./messages";
import { useNotifications } from "./notifications";
import { StartDocument } from "./operations";
import { outbox } from "./outbox";
import { requestProblem, type Problem } from "./problems";
import { showSettings, useConversationId, useSection } from "./route";
import { loadServerInfo, serverInfo } from "./serverInfo";
import { claiming, hostUser, refused, session, subject } from "./session";
import { Sidebar } from "./Sidebar";
import { useStore } from "./store";
import { useShortcuts, useTip } from "./useShortcuts";
import { useSidebar } from "./useSidebar";
import { ProblemNotice } from "./ProblemNotice";
import { WithCode } from "./WithCode";

const ArtifactPanel = lazy(() => import("./ArtifactPanel"));
const KeysDialog = lazy(() => import("./KeysDialog"));
const AccountDialog = lazy(() => import("./Account"));
const SignIn = lazy(() => import("./SignIn"));

/** The page, connected with the current sign-in. */
export function App() {
  useStore(shown);
  const signInRequired = useStore(refused);
  const guestSignsIn = useStore(claiming);
  // The connection is kept when a token is refreshed, and replaced when the user signs in or out.
  const signed = useStore(session);
  const connection = useMemo(() => connect(), [signed && subject(), signed?.guest]);
  useEffect(() => () => connection.close(), [connection]);
  if (signInRequired || guestSignsIn) return <Suspense><SignIn /></Suspense>;
  return (
    <Provider value={connection.client}>
      <TertuliaProvider client={connection.tertulia} outbox={outbox}><Page /></TertuliaProvider>
    </Provider>
  );
}

/** How long the page waits before it asks again what the server offers. */
const RETRY_MS = 4_000;

function Page() {
  const id = useConversationId();
  const sidebar = useSidebar(id);
  const [keys, setKeys] = useState(false);
  const section = useSection();
  const [{ data, error }, readAgain] = useQuery({ query: StartDocument });
  const connection = useReturnedConnection(() => readAgain({ requestPolicy: "network-only" }));
  const artifact = useStore(opened);
  useEffect(() => {
    if (!error || data) return;
    const timer = setTimeout(readAgain, RETRY_MS, { requestPolicy: "network-only" });
    return () => clearTimeout(timer);
  }, [error, data, readAgain]);
  useEffect(() => opened.set(null), [id]);
  useEffect(() => void loadServerInfo().catch(() => undefined), []);
  const signedInByHost = useStore(serverInfo)?.auth === "host";
  useEffect(() => {
    if (signedInByHost && data) hostUser.set(data.viewer.id);
  }, [signedInByHost, data?.viewer.id]);
  useNotifications();
  useShortcuts(sidebar.toggle, sidebar.show, () => setKeys(true));
  return (
    <div className="page" data-drawer={sidebar.drawer} data-folded={sidebar.folded}>
      <a className="skip" href="#text">{t("app.skip")}</a>
      <p className="hidden" role="status">{useStore(announced)}</p>
      <Sidebar current={id} onClose={sidebar.close} onFold={sidebar.toggle} onAccount={() => showSettings("general")} onKeys={() => setKeys(true)} name={data?.viewer.name} />
      <div className="scrim" onClick={sidebar.close} />
      <main>
        <button type="button" className="quiet drawer" onClick={sidebar.show} aria-expanded={sidebar.drawer} aria-label={t("app.conversations")} title={useTip("app.conversations", "sidebar")}>
          <Icon name="menu" />
        </button>
        <Conversation id={id} start={data} starting={!data && !error}>
          {connection && (connection.problem ? <ProblemNotice problem={connection.problem} /> : <p className="notice" role="status">{connection.text}</p>)}
          <Notices simulated={data?.models.some((model) => model.simulated) ?? false} problem={error ? requestProblem(error) : null} />
        </Conversation>
      </main>
      {artifact && <Suspense><ArtifactPanel artifact={artifact} /></Suspense>}
      {keys && <Suspense><KeysDialog onClose={() => setKeys(false)} /></Suspense>}
      {section && <Suspense><AccountDialog section={section} /></Suspense>}
    </div>
  );
}

/** Shorter interruptions, such as when a server restarts, show no notice. */
const SHORT_INTERRUPTION_MS = 400;

function Notices({ simulated, problem }: { simulated: boolean; problem: Problem | null }) {
  const disconnected = useTrueFor(useStore(lost), SHORT_INTERRUPTION_MS);
  return (
    <>
      {simulated && (
        <p className="notice" id="simulated">
          <WithCode message="notice.simulated" />
        </p>
      )}
      <ProblemNotice problem={problem} />
      {disconnected && (
        <p className="notice trouble" role="status">{t(navigator.onLine ? "notice.reconnecting" : "notice.offline")}</p>
      )}
    </>
  );
}

/** Return true once `value` has been true for this long. */
function useTrueFor(value: boolean, milliseconds: number): boolean {
  const [elapsed, setElapsed] = useState(false);
  useEffect(() => {
    if (!value) return setElapsed(false);
    const timer = setTimeout(() => setElapsed(true), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return elapsed;
}
