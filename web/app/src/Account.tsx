import { useEffect, useRef } from "react";
import { useQuery } from "urql";
import { at } from "./base";
import { DeleteAccount } from "./DeleteAccount";
import { finishDeletions } from "./deletions";
import { Devices } from "./Devices";
import { Dialog } from "./Dialog";
import { forgetDrafts } from "./drafts";
import { Languages } from "./Languages";
import { Limits } from "./Limits";
import { Memories } from "./Memories";
import { t } from "./messages";
import { NotificationSetting } from "./NotificationSetting";
import { AccountDocument } from "./operations";
import { outbox } from "./outbox";
import { PasswordForm } from "./Password";
import { requestProblem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";
import { closeSettings, SECTIONS, settingsAddress, showSettings, type Section } from "./route";
import { serverInfo } from "./serverInfo";
import { claiming, session, signOut } from "./session";
import { useStore } from "./store";
import { choose, theme, type Theme } from "./theme";
import { Tokens } from "./Tokens";
import { ToolServers } from "./ToolServers";
import { Usage } from "./Usage";
import { YourData } from "./YourData";

async function leave(): Promise<void> {
  await finishDeletions();
  forgetDrafts();
  outbox.clear();
  await signOut();
}

function claim(): void {
  closeSettings();
  claiming.set(true);
}

/** The viewer's settings in sections, each of which has its own address: `?settings=usage`. */
export default function AccountDialog({ section }: { section: Section }) {
  const [{ data, error }] = useQuery({ query: AccountDocument });
  const sections = useSections();
  const shown = sections.includes(section) ? section : "general";
  const name = data?.viewer.name;
  const list = useRef<HTMLElement>(null);
  // On a phone, the list of sections scrolls sideways.
  useEffect(() => {
    list.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [shown]);
  return (
    <Dialog title={name ?? t("account.title")} onClose={closeSettings} wide>
      <ProblemNotice problem={error ? requestProblem(error) : null} />
      <div className="sections">
        <nav aria-label={t("account.sections")} ref={list}>
          {sections.map((listed) => (
            <a key={listed} href={settingsAddress(listed)} aria-current={listed === shown ? "page" : undefined} onClick={(event) => showSettings(listed, event)}>
              {t(`account.section.${listed}`)}
            </a>
          ))}
        </nav>
        <section aria-label={t(`account.section.${shown}`)}>
          {shown === "general" && <General isOperator={data?.viewer.roles.includes("operator") ?? false} />}
          {shown === "usage" && <Usage />}
          {shown === "limits" && <Limits />}
          {shown === "memory" && <Memories />}
          {shown === "tools" && <ToolServers />}
          {shown === "security" && name && <><PasswordForm name={name} /><Devices /></>}
          {shown === "tokens" && <Tokens />}
          {shown === "delete" && name && <DeleteAccount name={name} needsPassword={serverInfo.get()?.auth === "password"} />}
        </section>
      </div>
    </Dialog>
  );
}

/** Return the sections that this server and the viewer have. */
function useSections(): Section[] {
  const auth = useStore(serverInfo)?.auth;
  const isGuest = useStore(session)?.guest === true;
  const hasAccount = (auth === "password" && !isGuest) || auth === "oidc";
  const missing: readonly Section[] = hasAccount ? (auth === "oidc" ? ["security"] : []) : ["security", "tokens", "delete"];
  return SECTIONS.filter((section) => !missing.includes(section));
}

function General({ isOperator }: { isOperator: boolean }) {
  const signed = useStore(session);
  return (
    <>
      {signed?.guest && (
        <>
          <p>{t("account.guest")}</p>
          <button type="button" className="plain" onClick={claim}>{t("account.claim")}</button>
        </>
      )}
      <h3>{t("account.appearance")}</h3>
      <Themes />
      <h3>{t("account.language")}</h3>
      <Languages />
      <NotificationSetting />
      <YourData />
      {isOperator && <p><a href={at("admin")}>{t("account.console")}</a></p>}
      <div className="actions">
        {signed && <button type="button" className="plain" onClick={() => void leave()}>{t("account.signOut")}</button>}
      </div>
    </>
  );
}

function Themes() {
  const selected = useStore(theme);
  return (
    <div className="row" role="radiogroup" aria-label={t("account.appearance")}>
      {(["system", "light", "dark"] satisfies Theme[]).map((option) => (
        <label key={option} className="check">
          <input type="radio" name="theme" checked={selected === option} onChange={() => choose(option)} />
          {t(`account.${option}`)}
        </label>
      ))}
    </div>
  );
}
