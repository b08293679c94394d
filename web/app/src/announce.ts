import { store } from "./store";

/** The characters of an answer that are read aloud. */
const MAX_LENGTH = 600;

/** The text that screen readers announce: a whole answer, not each word. */
export const announced = store("");

export function announce(text: string): void {
  announced.set(text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)} …` : text);
}
