// A chat page without a build step. The server shows it at /plain, and at / when the page of web/app is not built.
import { apply, ended, initial } from "./stream.js";
import { ask, subscribe } from "./plain-client.js";

const BLOCKS = `
  __typename index
  ... on TextBlock { text }
  ... on ThinkingBlock { text redacted }
  ... on ToolUseBlock { name input partialJson }
  ... on ToolResultBlock { output isError } ... on JsonBlock { text } ... on CompactionBlock { summary }`;
const LIST = `{ conversations(first: 50) { edges { node { id title messages(first: 1) { edges { node { text } } } } } }
  models { default simulated } }`;
const OPEN = `query ($id: ID!) { conversation(id: $id) { id activeGeneration { id }
  messages(last: 100) { edges { node { id role content { ${BLOCKS} } generation { id status continuations error { message } } } } } } }`;
const SEND = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename
  ... on SendMessagePayload { conversation { id } generation { id } }
  ... on ConversationBusy { generation { id } } ... on Error { message } } }`;
const SUBMIT = `mutation ($input: SubmitToolResultsInput!) { submitToolResults(input: $input) { __typename
  ... on Error { message } } }`;
const STOP = `mutation ($id: ID!) { stopGeneration(id: $id) { __typename } }`;
const FOLLOW = `subscription ($id: ID!) { generationEvents(generationId: $id) { __typename sequence
  ... on MessageSnapshot { message { content { ${BLOCKS} } } generation { status continuations } }
  ... on GenerationContinued { attempt }
  ... on ContentBlockStarted { index block { ${BLOCKS} } }
  ... on ContentBlockFinished { index block { ${BLOCKS} } }
  ... on TextDelta { index offset text } ... on ThinkingDelta { index offset text }
  ... on ToolInputDelta { index offset partialJson }
  ... on ToolResultsRequired { toolUses { toolUseId name input } approvals { toolUseId } }
  ... on GenerationFailed { error { message } } } }`;

const $ = (id) => document.getElementById(id);
let conversationId = new URLSearchParams(location.search).get("c");
let answering = null;

function element(name, properties, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

function showError(message) {
  $("trouble").hidden = !message;
  $("trouble").textContent = message ?? "";
}

function render(item, state, { continued = false, submit = null } = {}) {
  const atEnd = $("messages").scrollHeight - $("messages").scrollTop - $("messages").clientHeight < 80;
  item.replaceChildren(...state.blocks.flatMap((block) => (block && words(block) ? [renderBlock(block)] : [])));
  const note = { STOPPED: "Stopped.", FAILED: state.error?.message ?? "Failed." }[state.status];
  for (const line of [continued && "Interrupted and continued.", note]) {
    if (line) item.append(element("span", { className: "note", textContent: line }));
  }
  if (state.waits && submit) item.append(renderWait(state.waits, submit));
  item.setAttribute("aria-busy", String(!ended(state)));
  if (atEnd) $("messages").scrollTop = $("messages").scrollHeight;
}

function words(block) {
  const content = block.text ?? block.partialJson ?? block.summary ?? block.input ?? block.output ?? "";
  return typeof content === "string" ? content : JSON.stringify(content);
}

function renderBlock(block) {
  if (block.__typename === "TextBlock") return element("span", { textContent: block.text });
  const titles = {
    ThinkingBlock: "Thinking",
    ToolResultBlock: block.isError ? "Tool error" : "Tool result",
    ToolUseBlock: `Tool: ${block.name}`,
    JsonBlock: "JSON",
    CompactionBlock: "Summary of the earlier messages",
  };
  const title = element("summary", { textContent: titles[block.__typename] ?? block.__typename });
  return element("details", { open: true }, title, words(block));
}

/** The calls that Claude waits for, with buttons. "No" denies an approval, and returns an error for a client tool. */
function renderWait({ toolUses, approvals }, submit) {
  const approvable = new Set(approvals.map((call) => call.toolUseId));
  const answers = new Map();
  const list = element("ul", { className: "calls" });
  for (const call of toolUses) {
    const answer = (result) => {
      answers.set(call.toolUseId, { toolUseId: call.toolUseId, ...result });
      for (const button of item.querySelectorAll("button")) button.disabled = true;
      if (answers.size === toolUses.length) submit([...answers.values()]);
    };
    const yes = element("button", { type: "button", textContent: "Yes", onclick: () => answer({ approved: true }) });
    const missing = { output: "This client does not have this tool.", isError: true };
    const no = element("button", {
      type: "button",
      textContent: "No",
      onclick: () => answer(approvable.has(call.toolUseId) ? { approved: false } : missing),
    });
    const question = `Allow Claude to call ${call.name} with ${JSON.stringify(call.input)}? `;
    const item = element("li", {}, question, ...(approvable.has(call.toolUseId) ? [yes] : []), no);
    list.append(item);
  }
  return list;
}

function addMessage(role) {
  const item = element("li", { className: role.toLowerCase() });
  $("messages").append(item);
  return item;
}

function busy(generationId) {
  answering = generationId;
  $("stop").hidden = !generationId;
  $("send").disabled = Boolean(generationId);
}

function follow(generationId, item) {
  let state = initial;
  let continued = false;
  const submit = async (results) => {
    try {
      const { submitToolResults: payload } = await ask(SUBMIT, { input: { generationId, results } });
      if (payload.message) showError(payload.message);
    } catch (error) {
      showError(error.message);
    }
  };
  busy(generationId);
  render(item, state);
  subscribe(FOLLOW, { id: generationId }, {
    next({ generationEvents: event }) {
      showError(null);
      state = apply(state, event);
      continued ||= event.__typename === "GenerationContinued" || event.generation?.continuations > 0;
      render(item, state, { continued, submit });
      if (ended(state)) busy(null);
    },
    lost: () => showError("The connection is lost. Reconnecting… The answer continues in the meantime."),
    failed(message) {
      showError(message);
      busy(null);
    },
  });
}

async function send(text) {
  const input = { text, conversationId, idempotencyKey: key() };
  const { sendMessage: sent } = await ask(SEND, { input });
  if (sent.__typename !== "SendMessagePayload") throw new Error(sent.message);
  $("text").value = "";
  render(addMessage("USER"), { ...initial, blocks: [{ __typename: "TextBlock", text }], status: "COMPLETED" });
  if (!conversationId) {
    conversationId = sent.conversation.id;
    history.replaceState(null, "", `?c=${conversationId}`);
  }
  follow(sent.generation.id, addMessage("ASSISTANT"));
  await list();
}

function key() {
  // crypto.randomUUID exists only on pages from this machine or over TLS.
  return crypto.randomUUID?.() ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
    (+digit ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (+digit / 4)))).toString(16));
}

async function list() {
  const { conversations, models } = await ask(LIST);
  $("simulated").hidden = !models.some((model) => model.simulated);
  $("conversations").replaceChildren(...conversations.edges.map(({ node }) => {
    const link = element("a", { href: `?c=${node.id}` });
    link.textContent = node.title ?? node.messages.edges[0]?.node.text.slice(0, 60) ?? "Empty";
    if (node.id === conversationId) link.setAttribute("aria-current", "page");
    return element("li", {}, link);
  }));
}

/** Returns the state of a stored message, as if it had been streamed. */
function read({ content, generation }) {
  const message = { __typename: "MessageSnapshot", message: { content } };
  return { ...apply(initial, message), status: generation?.status ?? "COMPLETED", error: generation?.error };
}

async function open() {
  if (!conversationId) return;
  const { conversation } = await ask(OPEN, { id: conversationId });
  if (!conversation) {
    conversationId = null;
    showError("This conversation no longer exists.");
    return;
  }
  for (const { node } of conversation.messages.edges) {
    const item = addMessage(node.role);
    if (node.generation && node.generation.id === conversation.activeGeneration?.id) follow(node.generation.id, item);
    else render(item, read(node), { continued: node.generation?.continuations > 0 });
  }
}

$("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (!text.trim() || answering) return;
  $("send").disabled = true;
  try {
    showError(null);
    await send(text);
  } catch (error) {
    showError(error.message);
  }
  $("send").disabled = Boolean(answering);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});
$("stop").addEventListener("click", () => ask(STOP, { id: answering }).catch((error) => showError(error.message)));

Promise.all([list(), open()]).catch((error) => showError(error.message));
