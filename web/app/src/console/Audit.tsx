import { AuditTable } from "./AuditTable";
import { nodesOf } from "./facts";
import { useReading } from "./Loaded";
import { AuditDocument } from "./operations";
import { address, follow, go, type Parameters } from "./route";
import { Search } from "./Search";
import { Pager, usePages } from "./Table";
import { text } from "./texts";

const PAGE = 50;

/** The audit log, of all users or of one. */
export function Audit({ parameters: { user = "", action = "" } }: { parameters: Parameters }) {
  const pages = usePages(JSON.stringify([user, action]));
  const variables = { first: PAGE, after: pages.after, userId: user || null, action: action || null };
  const { data, notice } = useReading(AuditDocument, variables);
  const admin = data?.admin;
  return (
    <>
      <h1>{text.views.audit}</h1>
      <div className="bar">
        <Search key={action} label={text.audit.filter} value={action} onChange={(typed) => go(address("audit", { user, action: typed }), { replace: true })} />
      </div>
      {user && <p>{text.audit.ofUser} <a href={address("audit", { action })} onClick={follow}>{text.audit.ofAll}</a></p>}
      {admin && <p className="note">{admin.auditDays === null ? text.audit.keptForever : text.audit.kept(admin.auditDays)}</p>}
      {notice}
      {admin && <AuditTable entries={nodesOf(admin.auditLog)} />}
      {admin && <Pager pages={pages} info={admin.auditLog.pageInfo} />}
    </>
  );
}
