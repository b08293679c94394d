import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { applyLanguage } from "./language";
import { loadRenderer } from "./renderer";
import "./style.css";
import { applyTheme } from "./theme";
import { followVisualViewport } from "./viewport";

applyTheme();
followVisualViewport();
void loadRenderer();
const root = document.getElementById("root");
// Nothing is shown in another language first.
void applyLanguage().then(() => root && createRoot(root).render(<StrictMode><App /></StrictMode>));
