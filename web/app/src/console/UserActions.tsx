import { useState } from "react";
import { useMutation } from "urql";
import { toast } from "../toasts";
import { Action } from "./Action";
import { useReading } from "./Loaded";
import { DeleteUserDocument, DisableUserDocument, EnableUserDocument, PlansDocument, SetPlanDocument, SignOutUserDocument } from "./operations";
import { address, go } from "./route";
import { text } from "./texts";

interface Props {
  readonly user: { readonly id: string; readonly name: string; readonly plan: string | null; readonly disabledAt: string | null; readonly isViewer: boolean };
  readonly onChanged: () => void;
}

/** What an operator can do with a user. The server writes each into the audit log. */
export function UserActions({ user, onChanged }: Props) {
  const { data } = useReading(PlansDocument, {});
  const plans = data?.admin?.plans ?? [];
  return (
    <div className="row">
      {plans.length > 0 && <Plan user={user} plans={plans} onChanged={onChanged} />}
      <SignOut user={user} onChanged={onChanged} />
      {!user.isViewer && <Access user={user} onChanged={onChanged} />}
      {!user.isViewer && <Delete user={user} />}
    </div>
  );
}

function Plan({ user: { id, name, plan }, plans, onChanged }: Props & { plans: readonly string[] }) {
  const [, set] = useMutation(SetPlanDocument);
  const [chosen, setChosen] = useState(plan ?? "");
  const words = text.user.plan;
  return (
    <Action name={words.do} title={words.title(name)} explanation={words.explanation} run={() => set({ id, plan: chosen || null })} onDone={onChanged}>
      <label>
        {words.label}
        <select value={chosen} onChange={({ target }) => setChosen(target.value)}>
          <option value="">{text.user.defaultPlan}</option>
          {plans.map((option) => <option key={option} value={option}>{option}</option>)}
        </select>
      </label>
    </Action>
  );
}

function SignOut({ user: { id, name }, onChanged }: Props) {
  const [, signOut] = useMutation(SignOutUserDocument);
  const [tokens, setTokens] = useState(false);
  const words = text.user.signOut;
  async function run() {
    const result = await signOut({ id, tokens });
    const ended = result.data?.adminSignOutUser;
    if (ended?.__typename === "AdminSignedOutUser") toast(words.done(ended.signInCount, ended.tokenCount));
    return result;
  }
  return (
    <Action name={words.do} title={words.title(name)} explanation={words.explanation} run={run} onDone={onChanged}>
      <label className="check"><input type="checkbox" checked={tokens} onChange={({ target }) => setTokens(target.checked)} />{words.tokens}</label>
    </Action>
  );
}

/** A button that disables the user, or enables a disabled one. */
function Access({ user: { id, name, disabledAt }, onChanged }: Props) {
  const [, disable] = useMutation(DisableUserDocument);
  const [, enable] = useMutation(EnableUserDocument);
  const words = disabledAt === null ? text.user.disable : text.user.enable;
  return (
    <Action key={words.do} name={words.do} title={words.title(name)} explanation={words.explanation} danger={disabledAt === null}
      run={() => (disabledAt === null ? disable : enable)({ id })} onDone={onChanged} />
  );
}

function Delete({ user: { id, name } }: Pick<Props, "user">) {
  const [, remove] = useMutation(DeleteUserDocument);
  const words = text.user.delete;
  return <Action name={words.do} title={words.title(name)} explanation={words.explanation} typed={name} danger run={() => remove({ id })} onDone={() => go(address("users"), { replace: true })} />;
}
