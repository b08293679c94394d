// The tour of GraphiQL: a panel that opens the tab of each step, fills in the known ids, and runs the operation.
import { pick, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useReducer, useRef, useState, type KeyboardEvent } from "react";
import { createPortal } from "react-dom";
import { clearResult, subscribe, tourState, type Ids } from "./tourState";
import { operationOf, STEPS } from "./steps";

const STORAGE_KEY = "tertulia:tour";
const OVER = "over";

/** The headers of the last run. */
export interface Sent {
  headers: Record<string, unknown> | null;
}

function storedStep(): number | null {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return stored === OVER ? null : STEPS[Number(stored)] ? Number(stored) : 0;
  } catch {
    return 0;
  }
}

function storeStep(step: number | null): void {
  try {
    localStorage.setItem(STORAGE_KEY, String(step ?? OVER));
  } catch {
    // Without storage the tour starts at its first step each time.
  }
}

/** Returns the variables with known ids in place of nulls, or null if there is nothing to fill in. */
function fillIds(text: string, ids: Ids): string | null {
  try {
    const variables = JSON.parse(text) as Record<string, unknown>;
    const values = Object.entries(ids).filter(([name, value]) => value && variables[name] === null);
    if (!values.length) return null;
    return JSON.stringify({ ...variables, ...Object.fromEntries(values) }, null, 2);
  } catch {
    return null;
  }
}

/** The button that shows the tour, and the tour. */
export function Tour({ sent }: { sent: Sent }) {
  const [step, setStep] = useState(storedStep);
  const button = useRef<HTMLButtonElement>(null);
  useTourState();
  const { open, run } = useTabs(sent, step);

  function go(next: number | null): void {
    storeStep(next);
    setStep(next);
    if (next === null) button.current?.focus();
    else open(next);
  }

  return (
    <>
      <button
        ref={button}
        type="button"
        className="tour-button"
        aria-expanded={step !== null}
        onClick={() => go(step === null ? 0 : null)}
      >
        Tour
      </button>
      {step !== null && createPortal(<Panel step={step} go={go} run={run} />, document.getElementById("tour")!)}
    </>
  );
}

function useTourState(): void {
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const remove = subscribe(render);
    return () => void remove();
  }, []);
}

/** Opens the tabs of the tour's steps, and fills missing ids into the tab that is shown. */
function useTabs(sent: Sent, firstStep: number | null) {
  const { queryEditor, variableEditor, headerEditor, responseEditor, tabs, activeTabIndex } = useGraphiQL(
    pick("queryEditor", "variableEditor", "headerEditor", "responseEditor", "tabs", "activeTabIndex"),
  );
  const { schema, isIntrospecting } = useGraphiQL(pick("schema", "isIntrospecting"));
  const actions = useGraphiQLActions();
  const wanted = useRef<{ step: number | null; added?: boolean; run?: boolean }>({ step: firstStep });
  const shown = useRef<number>(undefined);
  const sentHeaders = useRef(new Set([""]));

  // Long lines are wrapped, so that narrow editors cut nothing off.
  useEffect(() => {
    for (const editor of [queryEditor, variableEditor, responseEditor]) editor?.updateOptions({ wordWrap: "on" });
  }, [queryEditor, variableEditor, responseEditor]);

  useEffect(() => {
    if (!queryEditor || !variableEditor || !headerEditor || !responseEditor) return;
    const { run } = wanted.current;
    const step = wanted.current.step === null ? undefined : STEPS[wanted.current.step];
    if (step) {
      const { tab, query, variables } = step;
      const index = tabs.findIndex((open) => operationOf(open.query) === tab);
      if (index !== -1 && index !== activeTabIndex) return actions.changeTab(index);
      if (index === -1 && !wanted.current.added) {
        wanted.current.added = true;
        return actions.addTab();
      }
      wanted.current = { step: null };
      if (operationOf(queryEditor.getValue()) !== tab) queryEditor.setValue(query);
      // GraphiQL updates the name with a delay. A run before that would use the name of the previous tab's operation.
      actions.setOperationName(tab);
      variableEditor.setValue(JSON.stringify(variables(tourState.ids), null, 2));
    } else if (shown.current !== activeTabIndex) {
      const withIds = fillIds(variableEditor.getValue(), tourState.ids);
      if (withIds) variableEditor.setValue(withIds);
    }
    if (shown.current !== activeTabIndex) {
      // Each tab has its own headers. A tab without headers, or with those of an earlier run, gets those of the last run.
      const headers = sent.headers ? JSON.stringify(sent.headers, null, 2) : "";
      if (headers && sentHeaders.current.has(headerEditor.getValue().trim())) headerEditor.setValue(headers);
      sentHeaders.current.add(headers);
    }
    shown.current = activeTabIndex;
    if (run) actions.run();
  });

  // A server that requires a sign-in has refused the introspection. Repeat it after the first successful operation.
  useEffect(() => {
    if (tourState.answered && !schema && !isIntrospecting) void actions.introspect();
  }, [tourState.answered]);

  return {
    open(step: number) {
      actions.stop();
      clearResult(STEPS[step]!.tab);
      wanted.current = { step };
    },
    run() {
      // If the step's tab is not open yet, run the operation when it is.
      if (wanted.current.step === null) actions.run();
      else wanted.current.run = true;
    },
  };
}

function Panel({ step, go, run }: { step: number; go: (step: number | null) => void; run: () => void }) {
  const { title, text, note, tab, needs, done } = STEPS[step]!;
  const { isFetching, subscription } = useGraphiQL(pick("isFetching", "subscription"));
  const isSubscribed = subscription !== null;
  const heading = useRef<HTMLHeadingElement>(null);
  const missing = needs !== undefined && !tourState.ids[needs];
  const result = tourState.results[tab];
  useEffect(() => heading.current?.focus(), [step]);
  useEffect(() => {
    const close = (event: globalThis.KeyboardEvent) =>
      event.key === "Escape" && document.activeElement === document.body && go(null);
    document.addEventListener("keydown", close);
    return () => document.removeEventListener("keydown", close);
  });

  function act(): void {
    if (!missing && (!isFetching || isSubscribed)) run();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "Escape") go(null);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) act();
    else return;
    event.preventDefault();
  }

  const last = step + 1 === STEPS.length;
  return (
    <aside className="graphiql-container tour" aria-labelledby="tour-title" onKeyDown={onKeyDown}>
      <button type="button" className="tour-close" aria-label="Close the tour" onClick={() => go(null)}>
        ×
      </button>
      <div className="tour-text">
        <p className="tour-place">{`Step ${step + 1} of ${STEPS.length}`}</p>
        <h2 id="tour-title" tabIndex={-1} ref={heading}>
          {title}
        </h2>
        <p>{text}</p>
        {note && <p className="tour-note">{note}</p>}
      </div>
      <div className="tour-result">
        <p role="status" className={result?.refused ? "tour-refused" : undefined}>
          {missing
            ? "This step needs an id from an earlier step. Go back and run that step first."
            : (result?.refused ?? (isSubscribed ? "Following…" : result ? done : ""))}
        </p>
        {tab === "Follow" && tourState.answer && (
          <blockquote tabIndex={0} aria-label="The answer">
            {Object.values(tourState.answer).join("")}
          </blockquote>
        )}
        <div className="tour-actions">
          {/* aria-disabled instead of disabled, which would lose the focus. */}
          <button type="button" className="tour-run" aria-disabled={missing || isFetching} onClick={act}>
            {isSubscribed ? "Stop following" : "Run"}
            <kbd>Ctrl+Enter</kbd>
          </button>
          <button type="button" className="tour-back" disabled={step === 0} onClick={() => go(step - 1)}>
            Back
          </button>
          <button type="button" onClick={() => go(last ? null : step + 1)}>
            {last ? "Done" : "Next"}
          </button>
        </div>
      </div>
    </aside>
  );
}
