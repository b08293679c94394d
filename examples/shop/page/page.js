import { apply, ended, initial } from "/stream.js";

const BLOCK = `fragment Block on ContentBlock {
  __typename index ... on TextBlock { text citations { title url } } ... on ToolUseBlock { name }
}`;
const MESSAGE = `fragment Message on Message { role content { ...Block } generation { id status error { message } } } ${BLOCK}`;
const READ = `query Read {
  assistants { starters }
  conversation(externalId: "support") { messages(last: 50) { edges { node { ...Message } } } }
} ${MESSAGE}`;
const SEND = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename
    ... on SendMessagePayload { userMessage { ...Message } generation { message { ...Message } } }
    ... on Error { message }
  }
} ${MESSAGE}`;
const FOLLOW = `subscription Follow($id: ID!) {
  generationEvents(generationId: $id) {
    __typename sequence
    ... on MessageSnapshot { generation { status } message { content { ...Block } } }
    ... on ContentBlockStarted { index block { ...Block } }
    ... on TextDelta { index offset text }
    ... on ContentBlockFinished { index block { ...Block } }
    ... on GenerationFailed { error { message } }
  }
} ${BLOCK}`;

const find = (selector) => document.querySelector(selector);
const element = (name, properties) => Object.assign(document.createElement(name), properties);
const form = find("#send");
/** The last text that was not sent, with its key: repeating it after a lost connection creates no second message. */
let attempt = {};

// ---- The shop -------------------------------------------------------------------------------------------------------

async function open() {
  const me = await (await fetch("/me")).json();
  find("#login").hidden = me !== null;
  find("header").hidden = find("main").hidden = me === null;
  if (me === null) return;
  find("#customer").textContent = me.name;
  for (const product of me.products) {
    const button = element("button", { textContent: "Add", ariaLabel: `Add ${product}` });
    const body = new URLSearchParams({ product });
    button.onclick = async () => showCart(await (await fetch("/cart", { method: "POST", body })).json());
    const item = element("li", { textContent: `${product} ` });
    item.append(button);
    find("#products").append(item);
  }
  showCart(me.cart);
  if (me.ownsShop) await showLog();
  await read();
}

function showCart(cart) {
  find("#cart").replaceChildren(
    ...Object.entries(cart).map(([product, count]) => element("li", { textContent: `${count} × ${product}` })),
  );
}

/** Show the webhooks that the shop has received. */
async function showLog() {
  for (const { type, data } of await (await fetch("/log")).json()) {
    const row = element("tr");
    const tokens = data.output_tokens ?? "";
    row.append(...[type, data.user_subject, data.model ?? "", tokens].map((textContent) => element("td", { textContent })));
    find("#log").append(row);
  }
  find("#log").hidden = false;
}

// ---- The conversation with the assistant ----------------------------------------------------------------------------

async function ask(query, variables = {}) {
  const headers = { "content-type": "application/json" };
  const response = await fetch("/ai/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await response.json();
  if (!data) throw new Error(errors[0].message);
  return data;
}

async function read() {
  const { assistants, conversation } = await ask(READ);
  for (const starter of assistants[0].starters) {
    find("#starters").append(
      element("button", { type: "button", textContent: starter, onclick: () => (form.elements.text.value = starter) }),
    );
  }
  for (const { node } of conversation?.messages.edges ?? []) add(node);
}

function add(message) {
  const item = element("li");
  item.dataset.role = message.role.toLowerCase();
  find("ol").append(item);
  const { id, status = "COMPLETED", error = null } = message.generation ?? {};
  const state = { ...apply(initial, { __typename: "MessageSnapshot", message }), status, error };
  draw(item, state);
  if (!ended(state)) follow(id, item);
}

/** Follow an answer. The browser sends the shop's cookie, and reconnects by itself: the first event is a snapshot. */
function follow(id, item) {
  const parameters = new URLSearchParams({ query: FOLLOW, variables: JSON.stringify({ id }) });
  const stream = new EventSource(`/ai/graphql?${parameters}`);
  let state = initial;
  stream.addEventListener("next", (event) => {
    state = apply(state, JSON.parse(event.data).data.generationEvents);
    draw(item, state);
  });
  stream.addEventListener("complete", () => stream.close());
}

function draw(item, state) {
  item.setAttribute("aria-busy", !ended(state));
  item.replaceChildren(...state.blocks.filter(Boolean).flatMap(elementsOf));
  if (state.error) item.append(element("p", { className: "note", textContent: state.error.message }));
}

function elementsOf({ __typename, text, citations, name }) {
  if (__typename === "ToolUseBlock") return [element("p", { className: "note", textContent: `Used ${name}.` })];
  if (__typename !== "TextBlock") return [];
  const sources = (citations ?? []).map(({ title, url }) => element("a", { href: url, textContent: `[${title}]` }));
  return [element("span", { textContent: text }), ...sources];
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  // The context tells Claude where the customer is. In support.py, the shop adds the cart.
  const context = { page: location.pathname };
  const text = form.elements.text.value;
  if (attempt.text !== text) attempt = { text, idempotencyKey: crypto.randomUUID() };
  const input = { ...attempt, context, externalId: "support" };
  const { sendMessage: sent } = await ask(SEND, { input });
  const isSent = sent.__typename === "SendMessagePayload";
  // SendRefused, ConversationBusy, RateLimited and the other errors have a `message` for users.
  find("[role=alert]").textContent = isSent ? "" : sent.message;
  find("[role=alert]").hidden = isSent;
  find("[role=alert]").dataset.type = sent.__typename;
  if (!isSent) return;
  form.reset();
  attempt = {};
  add(sent.userMessage);
  add(sent.generation.message);
});

await open();
