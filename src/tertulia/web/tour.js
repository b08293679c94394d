// The tour of GraphiQL: a panel that opens the tab of each step, fills in the known ids, and runs the operation.
/* global React, ReactDOM, GraphiQL */
import { begin, known, whenKnown } from "./known.js";
import { operationOf, STEPS } from "./tour-steps.js";

const { createElement: h, useEffect, useReducer, useRef, useState } = React;
const { useEditorContext, useExecutionContext, useSchemaContext } = GraphiQL.React;
const STORAGE_KEY = "tertulia:tour";
const OVER = "over";

function storedStep() {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return stored === OVER ? null : STEPS[Number(stored)] ? Number(stored) : 0;
  } catch {
    return 0;
  }
}

function storeStep(step) {
  try {
    localStorage.setItem(STORAGE_KEY, step ?? OVER);
  } catch {
    // Without storage the tour starts at its first step each time.
  }
}

/** Returns the variables with known ids in place of nulls, or null if there is nothing to fill in. */
function filled(text, ids) {
  try {
    const variables = JSON.parse(text);
    const empty = Object.keys(variables).filter((name) => variables[name] === null && ids[name]);
    if (!empty.length) return null;
    return JSON.stringify({ ...variables, ...Object.fromEntries(empty.map((name) => [name, ids[name]])) }, null, 2);
  } catch {
    return null;
  }
}

/** The button that shows the tour, and the tour. */
export function Tour({ sent }) {
  const [step, setStep] = useState(storedStep);
  const button = useRef(null);
  useKnown();
  const { open, run } = useTabs(sent, step);

  function go(next) {
    storeStep(next);
    setStep(next);
    if (next === null) button.current.focus();
    else open(next);
  }

  return h(
    React.Fragment,
    null,
    h(
      "button",
      {
        ref: button,
        type: "button",
        className: "tour-button",
        "aria-expanded": step !== null,
        onClick: () => go(step === null ? 0 : null),
      },
      "Tour",
    ),
    step !== null && ReactDOM.createPortal(h(Panel, { step, go, run }), document.getElementById("tour")),
  );
}

function useKnown() {
  const [, render] = useReducer((count) => count + 1, 0);
  useEffect(() => whenKnown(render), []);
}

/** Opens the tabs of the tour's steps, and fills missing ids into the tab that is shown. */
function useTabs(sent, firstStep) {
  const editors = useEditorContext({ nonNull: true });
  const execution = useExecutionContext({ nonNull: true });
  const schema = useSchemaContext({ nonNull: true });
  const { queryEditor, variableEditor, headerEditor, responseEditor, tabs, activeTabIndex } = editors;
  const wanted = useRef({ step: firstStep });
  const shown = useRef(null);
  const sentHeaders = useRef(new Set([""]));

  // Each tab has its own headers. A tab without headers, or with those of an earlier run, gets those of the last run.
  function signIn() {
    const headers = sent.headers ? JSON.stringify(sent.headers, null, 2) : "";
    if (headers && sentHeaders.current.has(headerEditor.getValue().trim())) headerEditor.setValue(headers);
    sentHeaders.current.add(headers);
  }

  useEffect(() => {
    if (!queryEditor || !variableEditor || !headerEditor || !responseEditor) return;
    const { run } = wanted.current;
    if (wanted.current.step !== null) {
      const { tab, query, variables } = STEPS[wanted.current.step];
      const index = tabs.findIndex((open) => operationOf(open.query) === tab);
      if (index !== -1 && index !== activeTabIndex) return void editors.changeTab(index);
      if (index === -1 && !wanted.current.added) {
        wanted.current.added = true;
        return void editors.addTab();
      }
      wanted.current = { step: null };
      if (operationOf(queryEditor.getValue()) !== tab) queryEditor.setValue(query);
      // GraphiQL updates the name with a delay. A run before that would use the name of the previous tab's operation.
      editors.setOperationName(tab);
      variableEditor.setValue(JSON.stringify(variables(known.ids), null, 2));
    } else if (shown.current !== activeTabIndex) {
      const withIds = filled(variableEditor.getValue(), known.ids);
      if (withIds) variableEditor.setValue(withIds);
    }
    if (shown.current !== activeTabIndex) signIn();
    shown.current = activeTabIndex;
    if (run) execution.run();
  });

  // A server that requires a sign-in has refused the introspection. Repeat it after the first successful operation.
  useEffect(() => {
    if (known.answered && !schema.schema && !schema.isFetching) schema.introspect();
  }, [known.answered]);

  return {
    open(step) {
      execution.stop();
      begin(STEPS[step].tab);
      wanted.current = { step };
    },
    run() {
      // If the step's tab is not open yet, run the operation when it is.
      if (wanted.current.step === null) execution.run();
      else wanted.current.run = true;
    },
  };
}

function Panel({ step, go, run }) {
  const { title, text, note, tab, needs, done } = STEPS[step];
  const { isFetching, isSubscribed } = useExecutionContext({ nonNull: true });
  const heading = useRef(null);
  const missing = needs !== undefined && !known.ids[needs];
  const result = known.results[tab];
  useEffect(() => heading.current.focus(), [step]);
  useEffect(() => {
    const close = (event) => event.key === "Escape" && document.activeElement === document.body && go(null);
    document.addEventListener("keydown", close);
    return () => document.removeEventListener("keydown", close);
  });

  function act() {
    if (!missing && !isFetching) run();
  }

  function onKeyDown(event) {
    if (event.key === "Escape") go(null);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) act();
    else return;
    event.preventDefault();
  }

  const last = step + 1 === STEPS.length;
  const button = (props, ...children) => h("button", { type: "button", ...props }, ...children);
  return h(
    "aside",
    { className: "graphiql-container tour", "aria-labelledby": "tour-title", onKeyDown },
    h("p", { className: "tour-place" }, `Step ${step + 1} of ${STEPS.length}`),
    button({ className: "tour-close", "aria-label": "Close the tour", onClick: () => go(null) }, "×"),
    h("h2", { id: "tour-title", tabIndex: -1, ref: heading }, title),
    h("p", null, text),
    note && h("p", { className: "tour-note" }, note),
    h(
      "p",
      { role: "status", className: result?.refused ? "tour-refused" : undefined },
      statusText({ missing, result, isSubscribed, done }),
    ),
    tab === "Follow" && h(Answer),
    h(
      "div",
      { className: "tour-actions" },
      button(
        // aria-disabled instead of disabled, which would lose the focus.
        { className: "tour-run", "aria-disabled": missing || isFetching, onClick: act },
        isSubscribed ? "Stop following" : "Run",
        h("kbd", null, "Ctrl+Enter"),
      ),
      button({ className: "tour-back", disabled: step === 0, onClick: () => go(step - 1) }, "Back"),
      button({ onClick: () => go(last ? null : step + 1) }, last ? "Done" : "Next"),
    ),
  );
}

function Answer() {
  if (!known.answer) return null;
  const text = Object.values(known.answer).join("");
  return h("blockquote", { tabIndex: 0, "aria-label": "The answer" }, text);
}

function statusText({ missing, result, isSubscribed, done }) {
  if (missing) return "This step needs an id from an earlier step. Go back and run that step first.";
  if (result?.refused) return result.refused;
  if (isSubscribed) return "Following…";
  return result ? done : "";
}
