import { number } from "../messages";
import { costOf, Marks, nodesOf, UserLink, When } from "./facts";
import { useReading } from "./Loaded";
import { PlansDocument, UsersDocument, type AdminUserFilter, type PersonFragment } from "./operations";
import { address, go, type Parameters } from "./route";
import { Search } from "./Search";
import { Pager, Table, usePages, type Column } from "./Table";
import { text } from "./texts";
import { User } from "./User";

const PAGE = 25;
const FILTERS = {
  all: {},
  active: { disabled: false },
  disabled: { disabled: true },
  operators: { role: "operator" },
  guests: { guests: true },
  accounts: { guests: false },
} as const satisfies Record<string, AdminUserFilter>;

const COLUMNS: readonly Column<PersonFragment>[] = [
  { head: text.users.name, cell: (user) => <><UserLink user={user} /> <Marks user={user} /></> },
  { head: text.users.method, cell: ({ signInMethod }) => text.users.methods[signInMethod] },
  { head: text.users.plan, cell: ({ plan }) => plan ?? text.user.defaultPlan },
  { head: text.users.active, cell: ({ lastActiveAt }) => <When at={lastActiveAt} otherwise={text.users.never} /> },
  { head: text.users.conversations, numeric: true, cell: ({ conversationCount }) => number(conversationCount) },
  { head: text.users.month, numeric: true, cell: ({ usage }) => costOf(usage) },
];

/** The users, or one of them if the address names one. */
export function Users({ parameters }: { parameters: Parameters }) {
  const { user, q = "", show = "all", plan = "" } = parameters;
  if (user) return <User key={user} id={user} />;
  const filter = Object.hasOwn(FILTERS, show) ? (show as keyof typeof FILTERS) : "all";
  return <UserList search={q} show={filter} plan={plan} />;
}

interface ListProps {
  readonly search: string;
  readonly show: keyof typeof FILTERS;
  readonly plan: string;
}

function UserList({ search, show, plan }: ListProps) {
  const pages = usePages(JSON.stringify([search, show, plan]));
  const filter = { ...FILTERS[show], ...(search && { search }), ...(plan && { plan }) };
  const { data, notice } = useReading(UsersDocument, { first: PAGE, after: pages.after, filter });
  const admin = data?.admin;
  const change = (changed: Partial<Record<"q" | "show" | "plan", string>>) =>
    go(address("users", { q: search, show: show === "all" ? "" : show, plan, ...changed }), { replace: true });
  return (
    <>
      <h1>{text.views.users}</h1>
      <form className="bar" role="search" onSubmit={(event) => event.preventDefault()}>
        <Search label={text.users.search} value={search} onChange={(q) => change({ q })} />
        <label>
          {text.users.show}
          <select value={show} onChange={({ target }) => change({ show: target.value })}>
            {Object.entries(text.users.filters).map(([name, label]) => <option key={name} value={name}>{label}</option>)}
          </select>
        </label>
        <PlanChoice plan={plan} onChoose={(chosen) => change({ plan: chosen })} />
      </form>
      {notice}
      {admin && <Table label={text.views.users} columns={COLUMNS} rows={nodesOf(admin.users)} keyOf={({ id }) => id} empty={text.users.empty} />}
      {admin && <Pager pages={pages} info={admin.users.pageInfo} />}
    </>
  );
}

/** The plans of the server; nothing on a server without any. */
function PlanChoice({ plan, onChoose }: { plan: string; onChoose: (plan: string) => void }) {
  const { data } = useReading(PlansDocument, {});
  const plans = data?.admin?.plans ?? [];
  if (plans.length === 0) return null;
  return (
    <label>
      {text.users.plan}
      <select value={plan} onChange={({ target }) => onChoose(target.value)}>
        <option value="">{text.users.anyPlan}</option>
        {plans.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}
