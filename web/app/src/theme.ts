import { store } from "./store";

export type Theme = "system" | "light" | "dark";
const KEY = "tertulia:theme";
/** The page's background, `--page` in style.css. */
const COLORS = { light: "#faf9f6", dark: "#1b1a19" } as const;
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
  // The color of the browser's bars, or of the app's title bar.
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    meta.content = COLORS[chosen === "system" ? (meta.media.includes("dark") ? "dark" : "light") : chosen];
  }
}
