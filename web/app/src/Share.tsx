import { useEffect, useRef, useState } from "react";
import { useMutation, useQuery } from "urql";
import { CopyButton } from "./CopyButton";
import { Dialog } from "./Dialog";
import { RevokeShareDocument, ShareDocument, SharesDocument, type ShareFragment } from "./operations";
import { complaint, sentence } from "./words";

const DAY_MS = 86_400_000;
/** The choices of how long a link works, in days. */
const EXPIRIES = [[1, "for a day"], [7, "for a week"], [30, "for 30 days"], [null, "until you revoke it"]] as const;
const PARTS = [
  ["includeThinking", "Claude's thinking"],
  ["includeTools", "inputs and results of tools"],
  ["includeContext", "data that the application sent with messages"],
] as const;
const NOTHING_MORE = { includeThinking: false, includeTools: false, includeContext: false };

/** A dialog that creates a link to a conversation, and lists and revokes its links. */
export function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const [{ data, error }, read] = useQuery({ query: SharesDocument, variables: { id }, requestPolicy: "network-only" });
  const shares = data?.conversation?.shares.edges.map(({ node }) => node) ?? [];
  const readAgain = () => read({ requestPolicy: "network-only" });
  const [revoked, setRevoked] = useState(0);
  const note = useRef<HTMLParagraphElement>(null);
  // The focused button disappears with its link.
  useEffect(() => note.current?.focus(), [revoked]);
  return (
    <Dialog title="Share this conversation" onClose={onClose}>
      <p>Anybody who has a link can read the messages that you see now, without signing in. Later messages are not shown.</p>
      <NewLink id={id} onCreated={readAgain} />
      {error && <p className="notice trouble" role="alert">{sentence(error)}</p>}
      {shares.length > 0 && (
        <>
          <h3 id="links">Links to this conversation</h3>
          <ul className="shares" aria-labelledby="links">
            {shares.map((share) => <Link key={share.id} share={share} onRevoked={() => { setRevoked(revoked + 1); readAgain(); }} />)}
          </ul>
        </>
      )}
      {revoked > 0 && <p className="note" tabIndex={-1} ref={note}>The link has been revoked. It does not work any more.</p>}
    </Dialog>
  );
}

function NewLink({ id, onCreated }: { id: string; onCreated: () => void }) {
  const [{ fetching }, share] = useMutation(ShareDocument);
  const [days, setDays] = useState<number | null>(7);
  const [parts, setParts] = useState(NOTHING_MORE);
  const [link, setLink] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [link]);
  async function create() {
    const expiresAt = days === null ? null : new Date(Date.now() + days * DAY_MS).toISOString();
    const result = await share({ id, expiresAt, ...parts });
    setProblem(complaint(result));
    const created = result.data?.shareConversation;
    if (created?.__typename !== "ShareConversationPayload") return;
    setLink(new URL(created.url, location.href).href);
    onCreated();
  }
  return (
    <form className="fields" onSubmit={(event) => { event.preventDefault(); void create(); }}>
      <label>
        The link works
        <select value={days ?? ""} onChange={({ target }) => setDays(target.value ? Number(target.value) : null)}>
          {EXPIRIES.map(([value, text]) => <option key={text} value={value ?? ""}>{text}</option>)}
        </select>
      </label>
      <fieldset>
        <legend>It also shows</legend>
        {PARTS.map(([name, text]) => (
          <label key={name} className="check">
            <input type="checkbox" checked={parts[name]} onChange={({ target }) => setParts({ ...parts, [name]: target.checked })} />
            {text}
          </label>
        ))}
      </fieldset>
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      <div className="actions"><button type="submit" className="loud" disabled={fetching}>Create link</button></div>
      {link && (
        <div className="link">
          <label>
            New link. Copy it now, because it is not shown again.
            <input ref={field} readOnly value={link} onFocus={() => field.current?.select()} />
          </label>
          <CopyButton text={link} what="link" />
        </div>
      )}
    </form>
  );
}

function Link({ share, onRevoked }: { share: ShareFragment; onRevoked: () => void }) {
  const [{ fetching }, revoke] = useMutation(RevokeShareDocument);
  const [problem, setProblem] = useState<string | null>(null);
  const created = new Date(share.createdAt).toLocaleString();
  const more = PARTS.filter(([name]) => share[name]).map(([, text]) => text);
  async function revokeLink() {
    const failure = complaint(await revoke({ id: share.id }));
    setProblem(failure);
    if (failure) return;
    onRevoked();
  }
  return (
    <li>
      <span>
        {created}
        <small>
          {share.expiresAt ? `until ${new Date(share.expiresAt).toLocaleString()}` : "no expiry"}, opened {share.views} times
          {more.length > 0 && `, with ${more.join(", ")}`}
        </small>
      </span>
      <button type="button" className="plain" disabled={fetching} onClick={() => void revokeLink()} aria-label={`Revoke the link of ${created}`}>Revoke</button>
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
    </li>
  );
}
