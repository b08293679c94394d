import type { Block, StreamEvent } from "@tertulia/stream";
import { useState } from "react";
import { useMutation } from "urql";
import { SubmitDocument, type ToolResultInput } from "./operations";
import { complaint, written } from "./words";

interface Props {
  readonly generationId: string;
  readonly waits: StreamEvent;
  readonly onProblem: (problem: string | null) => void;
}

/** The calls that Claude waits for: a yes or a no, and no result from tools that another client would have. */
export function Approval({ generationId, waits, onProblem }: Props) {
  const [, submit] = useMutation(SubmitDocument);
  const [given, setGiven] = useState<readonly ToolResultInput[]>([]);
  const asking = new Set((waits.approvals ?? []).map((call) => call.toolUseId));
  const calls = waits.toolUses ?? [];
  async function give(result: ToolResultInput) {
    const all = [...given, result];
    setGiven(all);
    if (all.length < calls.length) return;
    const problem = complaint(await submit({ input: { generationId, results: all } }));
    onProblem(problem);
    if (problem) setGiven([]);
  }
  return (
    <div className="approvals">
      {calls.map((call) => (
        <Asked
          key={call.toolUseId}
          call={call}
          approvable={asking.has(call.toolUseId)}
          answered={given.some(({ toolUseId }) => toolUseId === call.toolUseId)}
          onGive={give}
        />
      ))}
    </div>
  );
}

interface AskedProps {
  readonly call: Block;
  readonly approvable: boolean;
  readonly answered: boolean;
  readonly onGive: (result: ToolResultInput) => Promise<void>;
}

function Asked({ call, approvable, answered, onGive }: AskedProps) {
  const toolUseId = call.toolUseId ?? "";
  const missing = { toolUseId, isError: true, output: "This client has no such tool." };
  return (
    <div role="group" aria-label={`Call of ${call.name}`}>
      <p>{approvable ? <>May Claude call <code>{call.name}</code> with this?</> : <>Claude calls <code>{call.name}</code>, which this page does not have.</>}</p>
      <pre>{written(call.input)}</pre>
      <div className="actions">
        {approvable && (
          <button type="button" className="loud" disabled={answered} onClick={() => onGive({ toolUseId, approved: true, isError: false })}>
            Yes
          </button>
        )}
        <button
          type="button"
          className="plain"
          disabled={answered}
          onClick={() => onGive(approvable ? { toolUseId, approved: false, isError: false } : missing)}
        >
          {approvable ? "No" : "Go on without it"}
        </button>
      </div>
    </div>
  );
}
