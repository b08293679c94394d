import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { applyLanguage } from "./language";
import { loadRenderer } from "./renderer";
import "./style.css";
import "./print.css";
import { applyTheme } from "./theme";
import { followVisualViewport } from "./viewport";

applyTheme();
followVisualViewport();
void loadRenderer();
void start();

async function start(): Promise<void> {
  const root = document.getElementById("root");
  // Nothing is shown in another language first.
  await applyLanguage();
  // An identity provider returns with a code or an error, and always with the state.
  if (new URLSearchParams(location.search).has("state")) await import("./provider").then(({ finishSignIn }) => finishSignIn()).catch(() => undefined);
  if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
}
