import { store } from "./store";

export type Theme = "system" | "light" | "dark";
const KEY = "tertulia:theme";
const kept = localStorage.getItem(KEY);

export const theme = store<Theme>(kept === "light" || kept === "dark" ? kept : "system");

export function choose(chosen: Theme): void {
  localStorage.setItem(KEY, chosen);
  theme.set(chosen);
  dress();
}

/** Let the page follow the choice; the colours themselves are `light-dark()` in the style sheet. */
export function dress(): void {
  const chosen = theme.get();
  document.documentElement.style.colorScheme = chosen === "system" ? "light dark" : chosen;
}
