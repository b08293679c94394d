import { apply, ended, initial, type Block, type State } from "@tertulia/stream";
import { createClient } from "graphql-sse";
import { FOLLOW, READ, SEND, STOP, type Follow, type Message, type Read, type Send } from "./documents";

function find<Found extends HTMLElement>(selector: string): Found {
  const found = document.querySelector<Found>(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return found;
}

const list = find<HTMLOListElement>("ol");
const form = find<HTMLFormElement>("form");
const text = find<HTMLTextAreaElement>("textarea");
const sendButton = find<HTMLButtonElement>("#send");
const stopButton = find<HTMLButtonElement>("#stop");
const lost = find("#lost");

// Distinct connections: each subscription is a POST of its own, and its answer the stream. `follow` connects again itself.
const client = createClient({ url: "/graphql", retryAttempts: 0, fetchFn: fetchHearing });
/** The server says something every 15 seconds, if only a comment. */
const LONGEST_SILENCE = 20_000;

/** The conversation of the page's address, `?c=ID`, or a new one. */
let conversationId = new URLSearchParams(location.search).get("c");
let answering: string | null = null;
/** A key for each message: sent again behind a lost connection, it is still the same message; other words are another. */
let key = crypto.randomUUID();
let leave = () => {};
let reconnect = () => {};
let silence: ReturnType<typeof setTimeout> | undefined;

/** Like `fetch`, of a stream: one that falls silent only looks open, as behind a laptop's sleep, and is opened again. */
async function fetchHearing(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  const hear = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, out) {
      clearTimeout(silence);
      silence = setTimeout(() => reconnect(), LONGEST_SILENCE);
      out.enqueue(piece);
    },
  });
  return new Response(response.body?.pipeThrough(hear) ?? null, response);
}

/** Execute a query or a mutation. */
async function ask<Data>(query: string, variables: object): Promise<Data> {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  if (!response.headers.get("content-type")?.includes("json")) throw new Error("The server cannot be reached");
  const { data, errors } = (await response.json()) as { data?: Data; errors?: { message: string }[] };
  if (!data || errors) throw new Error(errors?.[0]?.message ?? "The server gave nothing");
  return data;
}

/** Show a message; one that is being written is followed, so that a refreshed page goes on where it was. */
function add(message: Message): void {
  const item = document.createElement("li");
  item.dataset.role = message.role.toLowerCase();
  list.append(item);
  const { status = "COMPLETED", error = null } = message.generation ?? {};
  const state: State = { ...apply(initial, { __typename: "MessageSnapshot", message }), status, error };
  // What is stored of an answer that is being written is about a second old: its stream says at once what there is.
  if (message.generation && !ended(state)) follow(message.generation.id, item);
  else draw(item, state);
}

/** Follow an answer to its end, over as many connections as it takes. */
function follow(generationId: string, item: HTMLElement): void {
  // Nothing is known before the first event, which is a snapshot; behind it `after` asks for exactly what is missing.
  let state = initial;
  let after: number | null = null;
  let wait = 250;
  let timer: ReturnType<typeof setTimeout> | undefined;
  answer(generationId);
  draw(item, state);

  reconnect = () => {
    leave();
    clearTimeout(timer);
    leave = client.subscribe<Follow>(
      { query: FOLLOW, variables: { id: generationId, after } },
      {
        next({ data, errors }) {
          if (!data) return end(errors?.[0]?.message ?? "The answer cannot be followed.");
          state = apply(state, data.generationEvents);
          after = state.sequence;
          wait = 250;
          lost.hidden = true;
          draw(item, state);
          if (ended(state)) end(null);
        },
        error() {
          if (answering !== generationId) return;
          lost.hidden = false;
          timer = setTimeout(reconnect, wait);
          wait = Math.min(2 * wait, 5000);
        },
        complete() {},
      },
    );
  };

  function end(problem: string | null): void {
    answer(null);
    if (problem) trouble(problem);
    leave();
    clearTimeout(silence);
    reconnect = () => {};
  }

  reconnect();
}

function answer(generationId: string | null): void {
  answering = generationId;
  sendButton.disabled = generationId !== null;
  stopButton.hidden = generationId === null;
}

/** Draw a message. Each block keeps its element, so that only what is new is drawn. */
function draw(item: HTMLElement, state: State): void {
  for (const about of item.querySelectorAll("p")) about.remove();
  for (const [place, block] of state.blocks.entries()) {
    const element = item.children[place] ?? item.appendChild(document.createElement("span"));
    element.className = block?.__typename === "ThinkingBlock" || block?.__typename === "ToolUseBlock" ? "note" : "";
    const words = wordsOf(block);
    if (element.textContent !== words) element.textContent = words;
  }
  if (state.status === "STOPPED") note(item, "Stopped.");
  if (state.waits) note(item, "Claude waits for a tool that this page does not have.");
  if (state.error) note(item, state.error.message ?? "Failed.").role = "alert";
  item.setAttribute("aria-busy", String(!ended(state)));
}

function wordsOf(block: Block | null): string {
  return block?.__typename === "ToolUseBlock" ? `Claude calls ${block.name}.` : (block?.text ?? "");
}

function note(item: HTMLElement, words: string): HTMLElement {
  const about = document.createElement("p");
  about.className = "note";
  about.textContent = words;
  item.append(about);
  return about;
}

function trouble(words: string | null): void {
  find("#trouble").hidden = words === null;
  find("#trouble").textContent = words;
}

async function read(): Promise<void> {
  const { conversation } = await ask<Read>(READ, { id: conversationId });
  if (!conversation) return trouble("This conversation is not here any more.");
  list.replaceChildren();
  for (const { node } of conversation.messages.edges) add(node);
}

async function send(): Promise<void> {
  const input = { text: text.value, conversationId, idempotencyKey: key };
  const { sendMessage: sent } = await ask<Send>(SEND, { input });
  if (sent.__typename !== "SendMessagePayload") {
    // InvalidInput, RateLimited, ...: each says what is wrong, in a sentence.
    trouble(sent.message);
    // Another page of this conversation was faster: its message and the answer are shown here too.
    if (sent.__typename === "ConversationBusy") await read();
    return;
  }
  text.value = "";
  key = crypto.randomUUID();
  conversationId = sent.conversation.id;
  history.replaceState(null, "", `?c=${conversationId}`);
  add(sent.userMessage);
  add(sent.generation.message);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!text.value.trim() || sendButton.disabled) return;
  sendButton.disabled = text.readOnly = true;
  trouble(null);
  await send().catch((error: Error) => trouble(`${error.message}: send it again, it is answered once.`));
  sendButton.disabled = answering !== null;
  text.readOnly = false;
});
text.addEventListener("input", () => (key = crypto.randomUUID()));
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
stopButton.addEventListener("click", () => {
  ask(STOP, { id: answering }).catch((error: Error) => trouble(error.message));
});
addEventListener("online", () => reconnect());

if (conversationId) read().catch((error: Error) => trouble(error.message));
