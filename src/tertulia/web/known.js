// What the results of operations have told: ids for the next ones, and the answer as it grows.

const KEPT = "tertulia:known";
const listeners = new Set();

/** The newest ids, and what became of each operation; replaced as a whole by each change. */
export let known = { ids: kept(), results: {}, answer: null, answered: false };

/** Calls back after each change; gives what ends that. */
export function whenKnown(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Takes what came of an operation, by its name. */
export function notice(name, result) {
  const found = Object.values(result?.data ?? {}).filter((value) => value && typeof value === "object");
  const ids = Object.assign({}, known.ids, ...found.map(idsOf));
  const refused = result?.errors?.[0]?.message ?? found.find((value) => isError(value))?.message ?? null;
  known = { ...known, ids, results: { ...known.results, [name]: { refused } } };
  if (result?.data) known.answered = true;
  const event = result?.data?.generationEvents;
  if (event) known.answer = applied(known.answer, event);
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(ids));
  } catch {
    // Without storage they are known until the page is left.
  }
  for (const listener of listeners) listener();
}

/** Forgets what came of an operation, which runs again. */
export function begin(name) {
  const { [name]: _, ...results } = known.results;
  known = { ...known, results };
  for (const listener of listeners) listener();
}

// Payloads of mutations name what they are about by the same fields.
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

// The client's whole rule: a snapshot replaces; a delta sets its block to what stands before `offset`, plus `text`.
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

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}
