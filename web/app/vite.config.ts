import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const server = process.env.TERTULIA_URL ?? "http://127.0.0.1:8000";
// The server takes uploads and sockets from its own pages alone.
const passed = { target: server, changeOrigin: true, ws: true, rewriteWsOrigin: true, headers: { origin: server } };

/** The server compresses nothing itself: its thread has tokens to carry. */
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  async writeBundle({ dir = "." }, bundle) {
    for (const made of Object.values(bundle)) {
      const content = made.type === "chunk" ? made.code : made.source;
      if (!/\.(js|css)$/.test(made.fileName)) continue;
      await writeFile(join(dir, `${made.fileName}.br`), brotliCompressSync(content));
      await writeFile(join(dir, `${made.fileName}.gz`), gzipSync(content, { level: 9 }));
    }
  },
};

// `npm run build` writes what src/tertulia/server/http/pages.py shows at /; `npm run dev` shows changes at once, beside a running server.
export default defineConfig(({ command }) => ({
  plugins: [react(), compressed],
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
    // The page's policy allows no inline scripts, and every browser that it needs knows modules.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { "/graphql": passed, "/attachments": passed, "/auth": passed, "/export": passed, "/assets": passed },
  },
}));
