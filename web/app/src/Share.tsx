import { useEffect, useRef, useState } from "react";
import { useMutation, useQuery } from "urql";
import { CopyButton } from "./CopyButton";
import { Dialog } from "./Dialog";
import { dateTime, list, t } from "./messages";
import { RevokeShareDocument, ShareDocument, SharesDocument, type ShareFragment } from "./operations";
import { mutationProblem, requestProblem, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";

const DAY_MS = 86_400_000;
/** The choices of how long a link works, in days. */
const EXPIRIES = [[1, "share.day"], [7, "share.week"], [30, "share.month"], [null, "share.never"]] as const;
const PARTS = [
  ["includeThinking", "share.thinking"],
  ["includeTools", "share.tools"],
  ["includeContext", "share.context"],
] as const;
const NOTHING_MORE = { includeThinking: false, includeTools: false, includeContext: false };

/** A dialog that creates a link to a conversation, and lists and revokes its links. */
export default function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const [{ data, error }, read] = useQuery({ query: SharesDocument, variables: { id }, requestPolicy: "network-only" });
  const shares = data?.conversation?.shares.edges.map(({ node }) => node) ?? [];
  const readAgain = () => read({ requestPolicy: "network-only" });
  const [revoked, setRevoked] = useState(0);
  const note = useRef<HTMLParagraphElement>(null);
  // The focused button disappears with its link.
  useEffect(() => note.current?.focus(), [revoked]);
  return (
    <Dialog title={t("share.title")} onClose={onClose}>
      <p>{t("share.text")}</p>
      <NewLink id={id} onCreated={readAgain} />
      <ProblemNotice problem={error ? requestProblem(error) : null} />
      {shares.length > 0 && (
        <>
          <h3 id="links">{t("share.links")}</h3>
          <ul className="shares" aria-labelledby="links">
            {shares.map((share) => <Link key={share.id} share={share} onRevoked={() => { setRevoked((count) => count + 1); readAgain(); }} />)}
          </ul>
        </>
      )}
      {revoked > 0 && <p className="note" tabIndex={-1} ref={note}>{t("share.revoked")}</p>}
    </Dialog>
  );
}

function NewLink({ id, onCreated }: { id: string; onCreated: () => void }) {
  const [{ fetching }, share] = useMutation(ShareDocument);
  const [days, setDays] = useState<number | null>(7);
  const [parts, setParts] = useState(NOTHING_MORE);
  const [link, setLink] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [link]);
  async function create() {
    const expiresAt = days === null ? null : new Date(Date.now() + days * DAY_MS).toISOString();
    const result = await share({ id, expiresAt, ...parts });
    setProblem(mutationProblem(result));
    const created = result.data?.shareConversation;
    if (created?.__typename !== "ShareConversationPayload") return;
    setLink(new URL(created.url, location.href).href);
    onCreated();
  }
  return (
    <form className="fields" onSubmit={(event) => { event.preventDefault(); void create(); }}>
      <label>
        {t("share.expires")}
        <select value={days ?? ""} onChange={({ target }) => setDays(target.value ? Number(target.value) : null)}>
          {EXPIRIES.map(([value, text]) => <option key={text} value={value ?? ""}>{t(text)}</option>)}
        </select>
      </label>
      <fieldset>
        <legend>{t("share.includes")}</legend>
        {PARTS.map(([name, text]) => (
          <label key={name} className="check">
            <input type="checkbox" checked={parts[name]} onChange={({ target }) => setParts({ ...parts, [name]: target.checked })} />
            {t(text)}
          </label>
        ))}
      </fieldset>
      <ProblemNotice problem={problem} />
      <div className="actions"><button type="submit" className="loud" disabled={fetching}>{t("share.create")}</button></div>
      {link && (
        <div className="link">
          <label>
            {t("share.newLink")}
            <input ref={field} dir="ltr" readOnly value={link} onFocus={() => field.current?.select()} />
          </label>
          <CopyButton text={link} label={t("copy.link")} />
        </div>
      )}
    </form>
  );
}

function Link({ share, onRevoked }: { share: ShareFragment; onRevoked: () => void }) {
  const [{ fetching }, revoke] = useMutation(RevokeShareDocument);
  const [problem, setProblem] = useState<Problem | null>(null);
  const created = dateTime(share.createdAt);
  const more = PARTS.filter(([name]) => share[name]).map(([, text]) => t(text));
  const facts = [
    share.expiresAt ? t("share.until", { date: dateTime(share.expiresAt) }) : t("share.noExpiry"),
    t("share.views", { count: share.views }),
    ...(more.length > 0 ? [t("share.with", { parts: list(more) })] : []),
  ];
  async function revokeLink() {
    const failure = mutationProblem(await revoke({ id: share.id }));
    setProblem(failure);
    if (failure) return;
    onRevoked();
  }
  return (
    <li>
      <span>
        {created}
        <small>{list(facts)}</small>
      </span>
      <button type="button" className="plain" disabled={fetching} onClick={() => void revokeLink()} aria-label={t("share.revokeLink", { date: created })}>{t("share.revoke")}</button>
      <ProblemNotice problem={problem} />
    </li>
  );
}
