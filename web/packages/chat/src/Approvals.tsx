import type { ToolCalls } from "@tertulia/react";
import { useTexts } from "./Chat.tsx";
import { named } from "./texts.ts";

/** The calls that wait for the user. Calls of client tools that the page has run are not shown. */
export function Approvals({ calls, approve, deny, resolve }: ToolCalls) {
  const texts = useTexts();
  return calls.filter(({ answered, running }) => !answered && !running).map(({ toolUseId, name, input, approvable }) => (
    <div key={toolUseId} className="approval" role="group" aria-label={named(texts.tool, name)}>
      <p>{named(approvable ? texts.approval : texts.unavailable, name)}</p>
      <pre>{JSON.stringify(input, null, 2)}</pre>
      {approvable ? (
        <>
          <button type="button" className="loud" part="button" onClick={() => approve(toolUseId)}>{texts.allow}</button>
          <button type="button" className="plain" part="button" onClick={() => deny(toolUseId)}>{texts.deny}</button>
        </>
      ) : (
        <button type="button" className="plain" part="button" onClick={() => resolve(toolUseId, "This client does not have this tool.", true)}>{texts.continue}</button>
      )}
    </div>
  ));
}
