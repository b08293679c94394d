/** A page that uses the agent like any other AG-UI client. `?t=` in the address names the thread. */

import { randomUUID, type Message } from "@ag-ui/client";
import { contentToText, type Interrupt, type Tool } from "@ag-ui/core";
import { TertuliaAgent } from "./agent";

const tools: Tool[] = [
  {
    name: "read_page",
    description: "Reads the title and the address of the page that the user sees.",
    parameters: { type: "object", properties: {} },
  },
];
const threadId = new URLSearchParams(location.search).get("t") ?? randomUUID();
history.replaceState(null, "", `?t=${threadId}`);

const agent = new TertuliaAgent({ threadId });

const [list, alert, asks, form] = [find("ol"), find("[role=alert]"), find("#asks"), find<HTMLFormElement>("form")];
const [text, send, stop] = [
  find<HTMLTextAreaElement>("textarea"),
  find<HTMLButtonElement>("form button"),
  find("[type=button]"),
];

agent.subscribe({
  onMessagesChanged: () => show(),
  onRunErrorEvent: ({ event }) => fail(event.message),
  onRunFailed: ({ error }) => fail(error.message),
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!text.value.trim() || agent.isRunning) return;
  agent.addMessage({ id: randomUUID(), role: "user", content: text.value });
  text.value = "";
  void run(() => agent.runAgent({ tools }));
});
stop.addEventListener("click", () => agent.abortRun());
void run(() => agent.connectAgent());

/** Start a run. If it ends with calls of the page's tool or with approvals, answer them and start another run. */
async function run(begin: () => Promise<unknown>): Promise<void> {
  fail(null);
  busy(true);
  await begin().catch((error: unknown) => fail(String(error)));
  busy(false);
  const done = new Set(agent.messages.flatMap((one) => (one.role === "tool" ? [one.toolCallId] : [])));
  const calls = agent.messages.flatMap((one) => (one.role === "assistant" ? (one.toolCalls ?? []) : []));
  const pageCalls = calls.filter((call) => call.function.name === "read_page" && !done.has(call.id));
  for (const call of pageCalls) {
    const content = JSON.stringify({ title: document.title, address: location.href });
    agent.addMessage({ id: randomUUID(), role: "tool", toolCallId: call.id, content });
  }
  const answers = await Promise.all(agent.pendingInterrupts.map(ask));
  if (pageCalls.length || answers.length) await run(() => agent.runAgent({ tools, resume: answers }));
}

function ask(interrupt: Interrupt) {
  return new Promise<{ interruptId: string; status: "resolved"; payload: { approved: boolean } }>((resolve) => {
    const question = document.createElement("p");
    const answer = (approved: boolean) => {
      question.remove();
      resolve({ interruptId: interrupt.id, status: "resolved", payload: { approved } });
    };
    question.append(
      `${interrupt.message} `,
      button("Yes", () => answer(true)),
      button("No", () => answer(false)),
    );
    asks.append(question);
  });
}

function show(): void {
  list.replaceChildren(
    ...agent.messages.flatMap((message, index) => item(message, index === agent.messages.length - 1)),
  );
}

function item(message: Message, isLast: boolean): HTMLElement[] {
  if (
    message.role !== "user" &&
    message.role !== "assistant" &&
    message.role !== "reasoning" &&
    message.role !== "tool"
  )
    return [];
  const element = document.createElement("li");
  element.dataset["role"] = message.role === "user" ? "user" : "assistant";
  element.setAttribute("aria-busy", String(isLast && agent.isRunning && message.role !== "user"));
  element.style.whiteSpace = "pre-wrap";
  const calls = message.role === "assistant" ? (message.toolCalls ?? []) : [];
  const words = calls.map((call) => `${call.function.name} ${call.function.arguments}`);
  const said = contentToText(message.content);
  if (message.role === "reasoning") {
    const folded = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "Thinking";
    folded.append(summary, said);
    element.append(folded);
  } else {
    element.textContent = [said, ...words].filter(Boolean).join("\n");
  }
  return [element];
}

function busy(running: boolean): void {
  send.hidden = running;
  stop.hidden = !running;
  show();
}

function fail(message: string | null): void {
  alert.hidden = message === null;
  alert.textContent = message;
}

function button(name: string, onclick: () => void): HTMLButtonElement {
  return Object.assign(document.createElement("button"), { type: "button", textContent: name, onclick });
}

function find<Kind extends HTMLElement = HTMLElement>(selector: string): Kind {
  return document.querySelector(selector) as Kind;
}
