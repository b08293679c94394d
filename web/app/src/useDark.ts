import { useSyncExternalStore } from "react";
import { useStore } from "./store";
import { theme } from "./theme";

const system = matchMedia("(prefers-color-scheme: dark)");

/** Return whether the page is dark, by the chosen theme or by that of the system. */
export function useDark(): boolean {
  const chosen = useStore(theme);
  const dark = useSyncExternalStore(subscribe, () => system.matches);
  return chosen === "system" ? dark : chosen === "dark";
}

function subscribe(listener: () => void): () => void {
  system.addEventListener("change", listener);
  return () => system.removeEventListener("change", listener);
}
