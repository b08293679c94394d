import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import "./style.css";
import { applyTheme } from "./theme";
import { followVisualViewport } from "./viewport";

applyTheme();
followVisualViewport();
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
void import("./Markdown");
