import { useState } from "react";
import { useMutation, useQuery } from "urql";
import { deviceOf } from "./device";
import { dateTime, list, t } from "./messages";
import { RevokeSignInDocument, SignInsDocument, type SignInFragment } from "./operations";
import { mutationProblem, requestProblem, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";

/** The devices on which the viewer is signed in. */
export function Devices() {
  const [{ data, error }, read] = useQuery({ query: SignInsDocument, requestPolicy: "cache-and-network" });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [{ fetching }, revoke] = useMutation(RevokeSignInDocument);
  const signIns = data?.viewer.signIns ?? [];
  const others = signIns.filter(({ current }) => !current);
  async function end(ended: readonly SignInFragment[]) {
    let failure: Problem | null = null;
    for (const { id } of ended) failure ??= mutationProblem(await revoke({ id }));
    setProblem(failure);
    read({ requestPolicy: "network-only" });
  }
  if (error) return <ProblemNotice problem={requestProblem(error)} />;
  return (
    <>
      <h3 id="devices">{t("devices.title")}</h3>
      <ul className="shares" aria-labelledby="devices">
        {[...signIns.filter(({ current }) => current), ...others].map((signIn) => (
          <li key={signIn.id}>
            <span>{nameOf(signIn)}<small>{list(factsOf(signIn))}</small></span>
            {!signIn.current && (
              <button type="button" className="plain" disabled={fetching} onClick={() => void end([signIn])} aria-label={t("devices.signOutOf", { name: nameOf(signIn), date: dateTime(signIn.createdAt) })}>
                {t("account.signOut")}
              </button>
            )}
          </li>
        ))}
      </ul>
      <ProblemNotice problem={problem} />
      {others.length > 1 && (
        <div className="actions">
          <button type="button" className="plain" disabled={fetching} onClick={() => void end(others)}>{t("devices.signOutOthers")}</button>
        </div>
      )}
    </>
  );
}

function nameOf({ userAgent }: SignInFragment): string {
  const { program, system } = deviceOf(userAgent ?? "");
  if (program && system) return t("devices.name", { program, system });
  return program ?? system ?? t("devices.unknown");
}

function factsOf({ current, createdAt, lastUsedAt }: SignInFragment): string[] {
  const used = current ? t("devices.this") : t("devices.used", { date: dateTime(lastUsedAt) });
  return [used, t("devices.since", { date: dateTime(createdAt) })];
}
