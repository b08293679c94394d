import { store } from "./store";

const LONGEST = 600;

/** What screen readers say next: an answer is read when it is whole, not word by word. */
export const announced = store("");

export function announce(text: string): void {
  announced.set(text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);
}
