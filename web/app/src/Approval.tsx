import { useToolCalls, type PendingCall, type ToolCalls } from "@tertulia/react";
import type { StreamEvent } from "@tertulia/stream";
import { useEffect } from "react";
import { t } from "./messages";
import { failureProblem, type Problem } from "./problems";
import { WithCode } from "./WithCode";
import { written } from "./words";

interface Props {
  readonly generationId: string;
  readonly waits: StreamEvent;
  readonly onProblem: (problem: Problem | null) => void;
}

/** The calls that Claude waits for. The user approves or denies each; client tools get an error, as this page has none. */
export function Approval({ generationId, waits, onProblem }: Props) {
  const { calls, error, ...actions } = useToolCalls(generationId, waits);
  useEffect(() => {
    if (!error) return undefined;
    onProblem(failureProblem(error.failure));
    return () => onProblem(null);
  }, [error]);
  return (
    <div className="approvals">
      {calls.map((call) => <OneCall key={call.toolUseId} call={call} {...actions} />)}
    </div>
  );
}

interface OneCallProps extends Pick<ToolCalls, "approve" | "deny" | "resolve"> {
  readonly call: PendingCall;
}

function OneCall({ call: { toolUseId, name, input, approvable, answered }, approve, deny, resolve }: OneCallProps) {
  const unavailable = () => resolve(toolUseId, "This client does not have this tool.", true);
  return (
    <div role="group" aria-label={t("approval.group", { name })}>
      <p><WithCode message={approvable ? "approval.question" : "approval.unavailable"} values={{ name }} /></p>
      <pre>{written(input)}</pre>
      <div className="actions">
        {approvable && (
          <button type="button" className="loud" disabled={answered} onClick={() => approve(toolUseId)}>
            {t("approval.allow")}
          </button>
        )}
        <button
          type="button"
          className="plain"
          disabled={answered}
          onClick={() => (approvable ? deny(toolUseId) : unavailable())}
        >
          {t(approvable ? "approval.deny" : "approval.continue")}
        </button>
      </div>
    </div>
  );
}
