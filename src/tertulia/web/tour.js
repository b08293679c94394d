// The tour of GraphiQL: a panel beside it that opens each step's tab, fills in what is known, and runs it.
/* global React, ReactDOM, GraphiQL */
import { begin, known, whenKnown } from "./known.js";
import { operationOf, STEPS } from "./tour-steps.js";

const { createElement: h, useEffect, useReducer, useRef, useState } = React;
const { useEditorContext, useExecutionContext, useSchemaContext } = GraphiQL.React;
const KEPT = "tertulia:tour";
const OVER = "over";

function keptStep() {
  try {
    const kept = localStorage.getItem(KEPT);
    return kept === OVER ? null : STEPS[Number(kept)] ? Number(kept) : 0;
  } catch {
    return 0;
  }
}

function keep(step) {
  try {
    localStorage.setItem(KEPT, step ?? OVER);
  } catch {
    // Without storage each visit is a first one.
  }
}

/** Fills in ids that stand as null; gives null where there is nothing to fill in. */
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
  const [step, setStep] = useState(keptStep);
  const button = useRef(null);
  useWhatIsKnown();
  const { open, run } = useTabs(sent, step);

  function go(next) {
    keep(next);
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

function useWhatIsKnown() {
  const [, render] = useReducer((count) => count + 1, 0);
  useEffect(() => whenKnown(render), []);
}

/** Opens and fills tabs: those of the tour's steps, and ids that are missing in whichever tab is shown. */
function useTabs(sent, firstStep) {
  const editors = useEditorContext({ nonNull: true });
  const execution = useExecutionContext({ nonNull: true });
  const schema = useSchemaContext({ nonNull: true });
  const { queryEditor, variableEditor, headerEditor, responseEditor, tabs, activeTabIndex } = editors;
  const wanted = useRef({ step: firstStep });
  const shown = useRef(null);
  const ours = useRef(new Set([""]));

  // A tab's headers are its own: one that has none, or those of an earlier run, gets those of the last run.
  function signIn() {
    const headers = sent.headers ? JSON.stringify(sent.headers, null, 2) : "";
    if (headers && ours.current.has(headerEditor.getValue().trim())) headerEditor.setValue(headers);
    ours.current.add(headers);
  }

  useEffect(() => {
    if (!queryEditor || !variableEditor || !headerEditor || !responseEditor) return;
    const { run } = wanted.current;
    if (wanted.current.step !== null) {
      const { tab, query, variables } = STEPS[wanted.current.step];
      const index = tabs.findIndex((one) => operationOf(one.query) === tab);
      if (index !== -1 && index !== activeTabIndex) return void editors.changeTab(index);
      if (index === -1 && !wanted.current.added) {
        wanted.current.added = true;
        return void editors.addTab();
      }
      wanted.current = { step: null };
      if (operationOf(queryEditor.getValue()) !== tab) queryEditor.setValue(query);
      // GraphiQL would read it a moment later; who runs at once would run what the last tab was called.
      editors.setOperationName(tab);
      variableEditor.setValue(JSON.stringify(variables(known.ids), null, 2));
    } else if (shown.current !== activeTabIndex) {
      const better = filled(variableEditor.getValue(), known.ids);
      if (better) variableEditor.setValue(better);
    }
    if (shown.current !== activeTabIndex) signIn();
    shown.current = activeTabIndex;
    if (run) execution.run();
  });

  // A server that asks who somebody is has refused to show its schema until then.
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
      // What is asked to run before its tab is open runs then.
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
  const button = (props, ...shown) => h("button", { type: "button", ...props }, ...shown);
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
      said({ missing, result, isSubscribed, done }),
    ),
    tab === "Follow" && h(Answer),
    h(
      "div",
      { className: "tour-actions" },
      button(
        // Not disabled: it would lose the focus.
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

function said({ missing, result, isSubscribed, done }) {
  if (missing) return "It needs an id of an earlier step: go back and run that.";
  if (result?.refused) return result.refused;
  if (isSubscribed) return "Following…";
  return result ? done : "";
}
