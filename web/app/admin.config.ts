import react from "@vitejs/plugin-react";
import { compiledCatalogs } from "./catalogs.ts";
import { compressed } from "./compressed.ts";
import { hooks } from "./hooks.ts";
import { separateBuild } from "./separateBuild.ts";

// `npm run build` writes the files that src/tertulia/server/http/pages.py serves at /admin. Built together with the chat page, the
// console would split the chat page's scripts, and so enlarge its first view.
export default separateBuild("admin", { plugins: [react(), compiledCatalogs, compressed], resolve: { alias: hooks } });
