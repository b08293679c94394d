import { apply, ended, initial, type Block, type State } from "@tertulia/stream";
import { createClient } from "graphql-sse";
import { FOLLOW, READ, SEND, STOP, type Follow, type Message, type Read, type Send } from "./documents";
import { signedFetch, signIn } from "./session";

function find<Found extends HTMLElement>(selector: string): Found {
  const element = document.querySelector<Found>(selector);
  if (!element) throw new Error(`The page has no ${selector}.`);
  return element;
}

const list = find<HTMLOListElement>("ol");
const form = find<HTMLFormElement>("#message");
const signInForm = find<HTMLFormElement>("#sign-in");
const text = find<HTMLTextAreaElement>("textarea");
const sendButton = find<HTMLButtonElement>("#send");
const stopButton = find<HTMLButtonElement>("#stop");
const lost = find("#lost");

// Distinct connections mode: each subscription is a POST whose response is the stream. `follow` reconnects itself.
const client = createClient({ url: "/graphql", retryAttempts: 0, fetchFn: fetchWatched });
/** The server sends an event or a comment at least every 15 seconds. */
const MAX_SILENCE_MS = 20_000;

/** The conversation in the page's address, `?c=ID`, or a new one. */
let conversationId = new URLSearchParams(location.search).get("c");
let answering: string | null = null;
/** An idempotency key for each text: repeating a send after a lost connection does not create a second message. */
let key = crypto.randomUUID();
let leave = () => {};
let reconnect = () => {};
let silence: ReturnType<typeof setTimeout> | undefined;

/** Like `fetch`, but reconnects when the stream is silent for too long: after a laptop sleeps, it only looks open. */
async function fetchWatched(url: string, init: RequestInit): Promise<Response> {
  const response = await signedFetch(url, init, askToSignIn);
  const watcher = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, out) {
      clearTimeout(silence);
      silence = setTimeout(() => reconnect(), MAX_SILENCE_MS);
      out.enqueue(piece);
    },
  });
  return new Response(response.body?.pipeThrough(watcher) ?? null, response);
}

/** Show the form until the user has signed in. Requests that wait for it share one promise. */
function askToSignIn(): Promise<void> {
  signInForm.hidden = false;
  return (signingIn ??= new Promise((resolve) => (signedIn = resolve)));
}

let signingIn: Promise<void> | null = null;
let signedIn = () => {};

signInForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(signInForm)) as Record<string, string>;
  try {
    await signIn(username ?? "", password ?? "");
  } catch (error) {
    return trouble((error as Error).message);
  }
  trouble(null);
  signInForm.hidden = true;
  signInForm.reset();
  signingIn = null;
  signedIn();
});

/** Execute a query or a mutation. */
async function ask<Data>(query: string, variables: object): Promise<Data> {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify({ query, variables }) };
  const response = await signedFetch("/graphql", init, askToSignIn);
  if (!response.headers.get("content-type")?.includes("json")) throw new Error("The server cannot be reached");
  const { data, errors } = (await response.json()) as { data?: Data; errors?: { message: string }[] };
  if (!data || errors) throw new Error(errors?.[0]?.message ?? "The server returned no data");
  return data;
}

/** Show a message. If it is still being written, follow it, so that a refreshed page continues. */
function add(message: Message): void {
  const item = document.createElement("li");
  item.dataset.role = message.role.toLowerCase();
  list.append(item);
  const { status = "COMPLETED", error = null } = message.generation ?? {};
  const state: State = { ...apply(initial, { __typename: "MessageSnapshot", message }), status, error };
  // The stored content of a running answer is about a second old. The stream begins with a current snapshot.
  if (message.generation && !ended(state)) follow(message.generation.id, item);
  else draw(item, state);
}

/** Follow an answer to its end. Reconnects after a lost connection. */
function follow(generationId: string, item: HTMLElement): void {
  // Without `after` the first event is a snapshot. After that, `after` requests exactly the missing events.
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
        error: again,
        // Without a terminal event: the server has ended the stream because the access token has expired.
        complete: again,
      },
    );
  };

  function again(): void {
    if (answering !== generationId) return;
    lost.hidden = false;
    timer = setTimeout(reconnect, wait);
    wait = Math.min(2 * wait, 5000);
  }

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

/** Draw a message. Each block keeps its element, so that only changes are drawn. */
function draw(item: HTMLElement, state: State): void {
  for (const paragraph of item.querySelectorAll("p")) paragraph.remove();
  for (const [index, block] of state.blocks.entries()) {
    const element = item.children[index] ?? item.appendChild(document.createElement("span"));
    element.className = block?.__typename === "ThinkingBlock" || block?.__typename === "ToolUseBlock" ? "note" : "";
    const words = wordsOf(block);
    if (element.textContent !== words) element.textContent = words;
  }
  if (state.status === "STOPPED") note(item, "Stopped.");
  if (state.waits) note(item, "Claude is waiting for a tool call that this page cannot answer.");
  if (state.error) note(item, state.error.message ?? "Failed.").role = "alert";
  item.setAttribute("aria-busy", String(!ended(state)));
}

function wordsOf(block: Block | null): string {
  return block?.__typename === "ToolUseBlock" ? `Claude called ${block.name}.` : (block?.text ?? "");
}

function note(item: HTMLElement, words: string): HTMLElement {
  const paragraph = document.createElement("p");
  paragraph.className = "note";
  paragraph.textContent = words;
  item.append(paragraph);
  return paragraph;
}

function trouble(words: string | null): void {
  find("#trouble").hidden = words === null;
  find("#trouble").textContent = words;
}

async function read(): Promise<void> {
  const { conversation } = await ask<Read>(READ, { id: conversationId });
  if (!conversation) return trouble("This conversation no longer exists.");
  list.replaceChildren();
  for (const { node } of conversation.messages.edges) add(node);
}

async function send(): Promise<void> {
  const input = { text: text.value, conversationId, idempotencyKey: key };
  const { sendMessage: sent } = await ask<Send>(SEND, { input });
  if (sent.__typename !== "SendMessagePayload") {
    // InvalidInput, RateLimited and the other errors have a `message` for users.
    trouble(sent.message);
    // Another page has sent a message to this conversation: show that message and its answer.
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
  await send().catch((error: Error) => trouble(`${error.message}. Send the message again; it is answered once.`));
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
