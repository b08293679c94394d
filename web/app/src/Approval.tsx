import type { Block, StreamEvent } from "@tertulia/stream";
import { useState } from "react";
import { useMutation } from "urql";
import { t } from "./messages";
import { SubmitDocument, type ToolResultInput } from "./operations";
import { mutationProblem, type Problem } from "./problems";
import { WithCode } from "./WithCode";
import { written } from "./words";

interface Props {
  readonly generationId: string;
  readonly waits: StreamEvent;
  readonly onProblem: (problem: Problem | null) => void;
}

/** The calls that Claude waits for. The user approves or denies each; client tools get an error, as this page has none. */
export function Approval({ generationId, waits, onProblem }: Props) {
  const [, submit] = useMutation(SubmitDocument);
  const [results, setResults] = useState<readonly ToolResultInput[]>([]);
  const approvable = new Set((waits.approvals ?? []).map((call) => call.toolUseId));
  const calls = waits.toolUses ?? [];
  async function addResult(result: ToolResultInput) {
    const all = [...results, result];
    setResults(all);
    if (all.length < calls.length) return;
    const problem = mutationProblem(await submit({ input: { generationId, results: all } }));
    onProblem(problem);
    if (problem) setResults([]);
  }
  return (
    <div className="approvals">
      {calls.map((call) => (
        <PendingCall
          key={call.toolUseId}
          call={call}
          approvable={approvable.has(call.toolUseId)}
          answered={results.some(({ toolUseId }) => toolUseId === call.toolUseId)}
          onResult={addResult}
        />
      ))}
    </div>
  );
}

interface PendingCallProps {
  readonly call: Block;
  readonly approvable: boolean;
  readonly answered: boolean;
  readonly onResult: (result: ToolResultInput) => Promise<void>;
}

function PendingCall({ call, approvable, answered, onResult }: PendingCallProps) {
  const toolUseId = call.toolUseId ?? "";
  const name = call.name ?? "";
  const missing = { toolUseId, isError: true, output: "This client does not have this tool." };
  return (
    <div role="group" aria-label={t("approval.group", { name })}>
      <p><WithCode message={approvable ? "approval.question" : "approval.unavailable"} values={{ name }} /></p>
      <pre>{written(call.input)}</pre>
      <div className="actions">
        {approvable && (
          <button type="button" className="loud" disabled={answered} onClick={() => onResult({ toolUseId, approved: true, isError: false })}>
            {t("approval.allow")}
          </button>
        )}
        <button
          type="button"
          className="plain"
          disabled={answered}
          onClick={() => onResult(approvable ? { toolUseId, approved: false, isError: false } : missing)}
        >
          {t(approvable ? "approval.deny" : "approval.continue")}
        </button>
      </div>
    </div>
  );
}
