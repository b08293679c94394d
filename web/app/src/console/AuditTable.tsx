import { UserLink, When } from "./facts";
import type { AuditLineFragment } from "./operations";
import { Table, type Column } from "./Table";
import { text } from "./texts";

type Entry = Column<AuditLineFragment>;

const WHEN: Entry = { head: text.audit.when, cell: ({ createdAt }) => <When at={createdAt} /> };
const ACTION: Entry = { head: text.audit.action, cell: ({ action }) => <code>{action}</code> };
const ON: Entry = { head: text.audit.on, cell: ({ user, userId }) => (user || !userId ? <UserLink user={user} /> : <>{text.audit.deleted}<small className="below">{userId}</small></>) };
const BY: Entry = {
  head: text.audit.by,
  cell: ({ operatorId, operatorName }) => (operatorId ? <UserLink user={{ id: operatorId, name: operatorName ?? operatorId }} /> : text.none),
};
const REST: readonly Entry[] = [
  { head: text.audit.address, cell: ({ address }) => address ?? text.none },
  { head: text.audit.details, cell: ({ details }) => <Details of={details} /> },
];

/** Lines of the audit log, the newest first. */
export function AuditTable({ entries, ofOneUser = false }: { entries: readonly AuditLineFragment[]; ofOneUser?: boolean }) {
  const columns = ofOneUser ? [WHEN, ACTION, BY, ...REST] : [WHEN, ACTION, ON, BY, ...REST];
  return <Table label={text.views.audit} rows={entries} columns={columns} keyOf={({ id }) => id} empty={text.audit.empty} />;
}

/** The details of an entry, an object. */
function Details({ of }: { of: unknown }) {
  return Object.entries((of ?? {}) as Record<string, unknown>).map(([name, value]) => (
    <span key={name} className="below breaks">{name}: {typeof value === "string" ? value : JSON.stringify(value)}</span>
  ));
}
