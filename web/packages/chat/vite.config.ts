import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

/** Write the licences of the bundled packages beside the bundle, as they demand. */
const licences: Plugin = {
  name: "licences",
  async writeBundle({ dir = "." }, bundle) {
    const modules = Object.values(bundle).flatMap((file) => (file.type === "chunk" ? file.moduleIds : []));
    const folders = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id.replace(/^\0/, ""))?.[0] ?? []));
    const texts = await Promise.all([...folders].sort().map(licenceOf));
    await writeFile(join(dir, "LICENSES.txt"), texts.join("\n\n----\n\n"));
  },
};

async function licenceOf(folder: string): Promise<string> {
  const { name, version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { name: string; version: string };
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} contains no licence.`);
  return `${name} ${version}\n\n${(await readFile(join(folder, file), "utf8")).trim()}`;
}

// `npm run build` writes dist/tertulia-chat.js. Preact replaces React there, because the bundle is then less than half the size.
export default defineConfig({
  plugins: [licences],
  resolve: {
    alias: [
      { find: "@tertulia/react", replacement: fileURLToPath(new URL("../react/src/index.ts", import.meta.url)) },
      { find: /^react\/jsx-runtime$/, replacement: "preact/jsx-runtime" },
      { find: /^react-dom\/client$/, replacement: "preact/compat/client" },
      { find: /^react(-dom)?$/, replacement: "preact/compat" },
    ],
  },
  logLevel: "error",
  build: {
    target: "es2022",
    modulePreload: false,
    rolldownOptions: {
      input: "src/index.ts",
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "tertulia-chat.js" },
      checks: { bundlerTimings: false },
    },
  },
});
