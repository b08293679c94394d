// The ids from the results of earlier operations, and the answer that is being followed.

const STORAGE_KEY = "tertulia:known";
const listeners = new Set();

/** The newest ids, and the result of each operation. Each change replaces the whole object. */
export let known = { ids: storedIds(), results: {}, answer: null, answered: false };

/** Calls the listener after each change. Returns a function that removes the listener. */
export function whenKnown(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Stores the result of an operation. */
export function notice(name, result) {
  const found = Object.values(result?.data ?? {}).filter((value) => value && typeof value === "object");
  const ids = Object.assign({}, known.ids, ...found.map(idsOf));
  const refused = result?.errors?.[0]?.message ?? found.find((value) => isError(value))?.message ?? null;
  known = { ...known, ids, results: { ...known.results, [name]: { refused } } };
  if (result?.data) known.answered = true;
  const event = result?.data?.generationEvents;
  if (event) known.answer = applied(known.answer, event);
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(ids));
  } catch {
    // Without storage the ids are kept until the page is closed.
  }
  for (const listener of listeners) listener();
}

/** Deletes the result of an operation that runs again. */
export function begin(name) {
  const { [name]: _, ...results } = known.results;
  known = { ...known, results };
  for (const listener of listeners) listener();
}

// The payloads of all mutations use the same field names for these objects.
function idsOf({ conversation, generation, userMessage }) {
  return {
    ...(conversation?.id && { conversationId: conversation.id }),
    ...(conversation?.model && { simulated: conversation.model.simulated }),
    ...(userMessage?.id && { messageId: userMessage.id }),
    ...(generation?.id && { generationId: generation.id }),
    ...(generation?.message?.id && { answerId: generation.message.id }),
  };
}

function isError(value) {
  return typeof value.message === "string";
}

// The rule of a client: a snapshot replaces the text; a delta sets its block to the text before `offset`, plus `text`.
function applied(answer, event) {
  switch (event.__typename) {
    case "MessageSnapshot":
      return Object.fromEntries((event.message?.content ?? []).map((block) => [block.index, block.text ?? ""]));
    case "TextDelta":
      return { ...answer, [event.index]: (answer?.[event.index] ?? "").slice(0, event.offset) + event.text };
    default:
      return answer;
  }
}

function storedIds() {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_KEY)) ?? {};
  } catch {
    return {};
  }
}
