import { useState } from "react";
import { FailedAnswers, RunningAnswers } from "./AnswerTable";
import { AuditTable } from "./AuditTable";
import { nodesOf } from "./facts";
import { useReading } from "./Loaded";
import { UserActivityDocument } from "./operations";
import { DEFAULT_DAYS, PeriodChoice } from "./period";
import { address, follow } from "./route";
import { text } from "./texts";
import { UsagePanel } from "./UsagePanel";

/** How often the activity is read again, in seconds. */
const REFRESH = 15;

/** What a user has used in the last days, what runs and has failed, and the latest audit entries. */
export function UserActivity({ id }: { id: string }) {
  const [days, setDays] = useState(DEFAULT_DAYS);
  const { data, notice, again } = useReading(UserActivityDocument, { id }, REFRESH);
  const admin = data?.admin;
  return (
    <>
      <section>
        <div className="bar"><h2>{text.usage.costBy.day}</h2><PeriodChoice days={days} onChoose={setDays} /></div>
        <UsagePanel days={days} userId={id} />
      </section>
      {notice}
      {admin && (
        <>
          <section><h2>{text.user.answers}</h2><RunningAnswers answers={nodesOf(admin.answers)} ofOneUser onStopped={again} /></section>
          <section><h2>{text.user.failures}</h2><FailedAnswers answers={nodesOf(admin.failures)} ofOneUser /></section>
          <section>
            <h2>{text.user.audit}</h2>
            <AuditTable entries={nodesOf(admin.auditLog)} ofOneUser />
            <p><a href={address("audit", { user: id })} onClick={follow}>{text.overview.all}</a></p>
          </section>
        </>
      )}
    </>
  );
}
