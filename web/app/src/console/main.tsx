import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { localeFor } from "../language";
import { shown } from "../messages";
import "../style.css";
import { applyTheme } from "../theme";
import { Console } from "./Console";
import "./console.css";

applyTheme();
// The console's texts are English. Dates and numbers follow the operator's region, such as en-GB.
shown.set({ ...shown.get(), locale: localeFor("en", navigator.languages) });
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><Console /></StrictMode>);
