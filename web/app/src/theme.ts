import { store } from "./store";

export type Theme = "system" | "light" | "dark";
const KEY = "tertulia:theme";
const stored = localStorage.getItem(KEY);

export const theme = store<Theme>(stored === "light" || stored === "dark" ? stored : "system");

export function choose(chosen: Theme): void {
  localStorage.setItem(KEY, chosen);
  theme.set(chosen);
  applyTheme();
}

/** Apply the chosen theme to the page. The style sheet defines the colours with `light-dark()`. */
export function applyTheme(): void {
  const chosen = theme.get();
  document.documentElement.style.colorScheme = chosen === "system" ? "light dark" : chosen;
}
