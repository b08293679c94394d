import { deviceOf } from "../device";
import { number } from "../messages";
import { BudgetMeter } from "./BudgetMeter";
import { costOf, Facts, Marks, When } from "./facts";
import { useReading } from "./Loaded";
import { UserDocument, type UserQuery } from "./operations";
import { address, follow } from "./route";
import { Table } from "./Table";
import { text } from "./texts";
import { UserActions } from "./UserActions";
import { UserActivity } from "./UserActivity";

type Person = NonNullable<NonNullable<UserQuery["admin"]>["user"]>;

/** How often a user is read again, in seconds. */
const REFRESH = 15;

/** What operators may know of a user: what she used, where she is signed in, what failed. Texts are not part of it. */
export function User({ id }: { id: string }) {
  const { data, notice, again } = useReading(UserDocument, { id }, REFRESH);
  const user = data?.admin?.user;
  return (
    <>
      <p><a href={address("users")} onClick={follow}>{text.user.back}</a></p>
      {notice}
      {data?.admin && !user && <p>{text.user.missing}</p>}
      {user && (
        <>
          <h1><bdi>{user.name}</bdi> <Marks user={user} /></h1>
          <UserActions user={user} onChanged={again} />
          {user.isViewer && <p className="note">{text.user.you}</p>}
          <UserFacts user={user} />
          {user.budget && <BudgetMeter label={text.user.facts.budget} budget={user.budget} />}
          <UserActivity id={id} />
          <Access user={user} />
        </>
      )}
    </>
  );
}

function UserFacts({ user }: { user: Person }) {
  const { facts } = text.user;
  return (
    <Facts facts={[
      [facts.month, costOf(user.usage)],
      [facts.plan, user.plan ?? text.user.defaultPlan],
      [facts.active, <When at={user.lastActiveAt} otherwise={text.users.never} />],
      [facts.conversations, number(user.conversationCount)],
      [facts.method, text.users.methods[user.signInMethod]],
      [facts.disabled, user.disabledAt && <When at={user.disabledAt} />],
      [facts.created, <When at={user.createdAt} />],
      [facts.id, <code>{user.id}</code>],
      [facts.issuer, user.issuer && <code>{user.issuer}</code>],
      [facts.subject, user.subject && <code>{user.subject}</code>],
    ]} />
  );
}

/** Where the user is signed in, and her tokens. */
function Access({ user: { signIns, personalTokens } }: { user: Person }) {
  return (
    <>
      <section>
        <h2>{text.user.signIns}</h2>
        <Table label={text.user.signIns} rows={signIns} keyOf={({ id }) => id} empty={text.user.noSignIns} columns={[
          { head: text.user.device, cell: ({ userAgent }) => nameOf(userAgent) },
          { head: text.user.since, cell: ({ createdAt }) => <When at={createdAt} /> },
          { head: text.user.used, cell: ({ lastUsedAt }) => <When at={lastUsedAt} /> },
        ]} />
      </section>
      <section>
        <h2>{text.user.tokens}</h2>
        <Table label={text.user.tokens} rows={personalTokens} keyOf={({ id }) => id} empty={text.user.noTokens} columns={[
          { head: text.user.label, cell: ({ label }) => <span dir="auto">{label}</span> },
          { head: text.user.since, cell: ({ createdAt }) => <When at={createdAt} /> },
          { head: text.user.used, cell: ({ lastUsedAt }) => <When at={lastUsedAt} otherwise={text.users.never} /> },
          { head: text.user.expires, cell: ({ expiresAt }) => <When at={expiresAt} otherwise={text.users.never} /> },
        ]} />
      </section>
    </>
  );
}

function nameOf(userAgent: string | null): string {
  const { program, system } = deviceOf(userAgent ?? "");
  return [program, system].filter((part) => part !== null).join(", ") || text.user.unknownDevice;
}
