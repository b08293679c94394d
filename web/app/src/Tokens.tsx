import { useEffect, useRef, useState } from "react";
import { useMutation, useQuery } from "urql";
import { CopyButton } from "./CopyButton";
import { date, dateTime, list, t } from "./messages";
import { CreateTokenDocument, RevokeTokenDocument, TokensDocument, type TokenFragment } from "./operations";
import { mutationProblem, requestProblem, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";

const DAY_MS = 86_400_000;
/** The choices of how long a token works, in days; null for no expiry. */
const EXPIRIES = [7, 30, 90, 365, null] as const;

/** The viewer's personal access tokens, and a form that creates one. */
export function Tokens() {
  const [{ data, error }, read] = useQuery({ query: TokensDocument, requestPolicy: "cache-and-network" });
  const tokens = data?.viewer.personalTokens ?? [];
  const readAgain = () => read({ requestPolicy: "network-only" });
  return (
    <>
      <p>{t("tokens.text")}</p>
      <NewToken onCreated={readAgain} />
      <ProblemNotice problem={error ? requestProblem(error) : null} />
      {tokens.length > 0 ? (
        <ul className="shares" aria-label={t("account.section.tokens")}>
          {tokens.map((token) => <Token key={token.id} token={token} onRevoked={readAgain} />)}
        </ul>
      ) : (
        data && <p className="note">{t("tokens.none")}</p>
      )}
    </>
  );
}

function NewToken({ onCreated }: { onCreated: () => void }) {
  const [{ fetching }, create] = useMutation(CreateTokenDocument);
  const [label, setLabel] = useState("");
  const [days, setDays] = useState<number | null>(90);
  const [secret, setSecret] = useState<string | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), [secret]);
  async function submit() {
    const expiresAt = days === null ? null : new Date(Date.now() + days * DAY_MS).toISOString();
    const result = await create({ label, expiresAt });
    setProblem(mutationProblem(result));
    const created = result.data?.createPersonalToken;
    if (created?.__typename !== "CreatePersonalTokenPayload") return;
    setSecret(created.token);
    setLabel("");
    onCreated();
  }
  return (
    <form className="fields" onSubmit={(event) => { event.preventDefault(); void submit(); }}>
      <label>
        {t("tokens.label")}
        <input value={label} maxLength={100} required autoComplete="off" onChange={({ target }) => setLabel(target.value)} />
      </label>
      <label>
        {t("tokens.expires")}
        <select value={days ?? ""} onChange={({ target }) => setDays(target.value ? Number(target.value) : null)}>
          {EXPIRIES.map((count) => <option key={count} value={count ?? ""}>{count === null ? t("tokens.never") : t("tokens.days", { count })}</option>)}
        </select>
      </label>
      <ProblemNotice problem={problem} />
      <div className="actions"><button type="submit" className="loud" disabled={fetching}>{t("tokens.create")}</button></div>
      {secret && (
        <div role="status">
          <p>{t("tokens.once")}</p>
          <div className="link">
            <label>
              {t("tokens.new")}
              <input ref={field} readOnly value={secret} onFocus={() => field.current?.select()} />
            </label>
            <CopyButton text={secret} label={t("tokens.copy")} />
          </div>
        </div>
      )}
    </form>
  );
}

function Token({ token, onRevoked }: { token: TokenFragment; onRevoked: () => void }) {
  const [{ fetching }, revoke] = useMutation(RevokeTokenDocument);
  const [problem, setProblem] = useState<Problem | null>(null);
  const { id, label, createdAt, lastUsedAt, expiresAt } = token;
  const facts = [
    lastUsedAt ? t("devices.used", { date: dateTime(lastUsedAt) }) : t("tokens.unused"),
    t("tokens.created", { date: date(createdAt) }),
    expiresAt ? t("tokens.until", { date: date(expiresAt) }) : t("tokens.never"),
  ];
  async function end() {
    const failure = mutationProblem(await revoke({ id }));
    setProblem(failure);
    if (!failure) onRevoked();
  }
  return (
    <li>
      <span dir="auto">{label}<small>{list(facts)}</small></span>
      <button type="button" className="plain" disabled={fetching} onClick={() => void end()} aria-label={t("tokens.revokeOne", { name: label })}>{t("tokens.revoke")}</button>
      <ProblemNotice problem={problem} />
    </li>
  );
}
