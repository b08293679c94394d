// The ids from the results of earlier operations, and the answer that is being followed.

const STORAGE_KEY = "tertulia:known";
const listeners = new Set<() => void>();

export interface Ids {
  conversationId?: string;
  messageId?: string;
  generationId?: string;
  answerId?: string;
  simulated?: boolean;
}

/** The result of an operation: its data, or the errors of the request. */
export interface Result {
  data?: Record<string, Field | null> | null;
  errors?: readonly { message: string }[];
}

/** A field of the data. The payloads of all mutations use the same names for these objects. */
interface Field {
  __typename?: string;
  message?: unknown;
  conversation?: { id?: string; model?: { simulated: boolean } };
  userMessage?: { id?: string };
  generation?: { id?: string; message?: { id?: string } };
  index?: number;
  offset?: number;
  text?: string;
}

type Answer = Record<number, string>;

interface TourState {
  ids: Ids;
  results: Record<string, { refused: string | null }>;
  answer: Answer | null;
  answered: boolean;
}

/** The newest ids, and the result of each operation. Each change replaces the whole object. */
export let tourState: TourState = { ids: storedIds(), results: {}, answer: null, answered: false };

/** Calls the listener after each change. Returns a function that removes the listener. */
export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Stores the result of an operation. */
export function recordResult(name: string, result: Result): void {
  const fields = Object.values(result.data ?? {}).filter(
    (value): value is Field => !!value && typeof value === "object",
  );
  const ids: Ids = Object.assign({}, tourState.ids, ...fields.map(idsOf));
  const error = fields.map((field) => field.message).find((message) => typeof message === "string");
  const refused = result.errors?.[0]?.message ?? (error as string | undefined) ?? null;
  tourState = { ...tourState, ids, results: { ...tourState.results, [name]: { refused } } };
  if (result.data) tourState.answered = true;
  const event = result.data?.["generationEvents"];
  if (event) tourState.answer = applyEvent(tourState.answer, event);
  try {
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(ids));
  } catch {
    // Without storage the ids are kept until the page is closed.
  }
  for (const listener of listeners) listener();
}

/** Deletes the result of an operation that runs again. */
export function clearResult(name: string): void {
  const { [name]: _, ...results } = tourState.results;
  tourState = { ...tourState, results };
  for (const listener of listeners) listener();
}

function idsOf({ conversation, generation, userMessage }: Field): Ids {
  return {
    ...(conversation?.id && { conversationId: conversation.id }),
    ...(conversation?.model && { simulated: conversation.model.simulated }),
    ...(userMessage?.id && { messageId: userMessage.id }),
    ...(generation?.id && { generationId: generation.id }),
    ...(generation?.message?.id && { answerId: generation.message.id }),
  };
}

// The rule of a client: a snapshot replaces the text; a delta sets its block to the text before `offset`, plus `text`.
function applyEvent(answer: Answer | null, event: Field): Answer | null {
  switch (event.__typename) {
    case "MessageSnapshot": {
      const { content } = event.message as { content: { index: number; text?: string }[] };
      return Object.fromEntries(content.map((block) => [block.index, block.text ?? ""]));
    }
    case "TextDelta": {
      const index = event.index ?? 0;
      return { ...answer, [index]: (answer?.[index] ?? "").slice(0, event.offset) + event.text };
    }
    default:
      return answer;
  }
}

function storedIds(): Ids {
  try {
    return (JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "null") as Ids | null) ?? {};
  } catch {
    return {};
  }
}
