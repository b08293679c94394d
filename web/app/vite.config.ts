import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { compiledCatalogs } from "./catalogs.ts";
import { compressed } from "./compressed.ts";
import { hooks } from "./hooks.ts";
import { manifest } from "./manifest.ts";

const server = process.env.TERTULIA_URL ?? "http://127.0.0.1:8000";
// The server accepts uploads and sockets only from its own origin.
const proxied = { target: server, changeOrigin: true, ws: true, rewriteWsOrigin: true, headers: { origin: server } };

/** Bundle each font of KaTeX once. All browsers that the page supports can read WOFF2. */
const onlyWoff2: Plugin = {
  name: "only-woff2",
  enforce: "pre",
  transform: (code, id) =>
    /katex.*\.css$/.test(id) ? code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)/g, "") : null,
};

// `npm run build` writes the files that src/tertulia/server/http/pages.py serves at /. `npm run dev` shows changes at once, and
// needs a running server.
export default defineConfig(({ command }) => ({
  plugins: [react(), compiledCatalogs, onlyWoff2, manifest, compressed],
  resolve: { alias: hooks },
  ...(command === "build" && { logLevel: "error" as const }),
  base: command === "build" ? "./" : "/",
  // Relative addresses, so that the page works under any prefix.
  experimental: {
    renderBuiltUrl: (filename, { hostType }) => (hostType === "html" ? `assets/app/${filename}` : { relative: true }),
  },
  build: {
    outDir: "../../src/tertulia/web/build",
    emptyOutDir: true,
    assetsDir: ".",
    target: "es2022",
    // The Content-Security-Policy allows no inline scripts, and all supported browsers can preload modules.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // The server reads there which file is the script of shared conversations.
    manifest: "scripts.json",
    rolldownOptions: { input: ["index.html", "src/shared.ts"], checks: { bundlerTimings: false } },
  },
  server: {
    proxy: { "/graphql": proxied, "/attachments": proxied, "/auth": proxied, "/export": proxied, "/import": proxied, "/assets": proxied, "/sandbox": proxied, "/diagrams": proxied },
  },
}));
