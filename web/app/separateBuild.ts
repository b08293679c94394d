import react from "@vitejs/plugin-react";
import { defineConfig, type UserConfig } from "vite";
import { compressed } from "./compressed.ts";

/** Build a page apart from the chat page, which then does not depend on its chunks. Addresses are relative: see vite.config.ts. */
export function separateBuild(name: string, more: UserConfig = {}): UserConfig {
  return defineConfig({
    root: name,
    logLevel: "error",
    plugins: [react(), compressed],
    base: "./",
    experimental: {
      renderBuiltUrl: (filename, { hostType }) =>
        hostType === "html" ? `assets/app/${name}/${filename}` : { relative: true },
    },
    build: {
      outDir: `../../../src/tertulia/web/build/${name}`,
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
    ...more,
  });
}
