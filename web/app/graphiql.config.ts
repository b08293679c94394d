import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { compressed } from "./compressed.ts";

// `npm run build` writes the files that src/tertulia/server/http/pages.py serves at /graphql, next to those of the chat
// page. This is a separate build, so that the chat page does not depend on its chunks.
export default defineConfig({
  root: "graphiql",
  logLevel: "error",
  plugins: [react(), compressed],
  base: "./",
  // Relative addresses, so that the page works under any prefix.
  experimental: {
    renderBuiltUrl: (filename, { hostType }) =>
      hostType === "html" ? `assets/app/graphiql/${filename}` : { relative: true },
  },
  worker: { format: "es" },
  build: {
    outDir: "../../../src/tertulia/web/build/graphiql",
    emptyOutDir: true,
    assetsDir: ".",
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { checks: { bundlerTimings: false } },
    license: { fileName: "LICENSES.md" },
    // Monaco alone has 3 MB.
    chunkSizeWarningLimit: 5000,
  },
});
