// Builds the modules of the adapter examples with Vite.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";

const EXAMPLES = join(import.meta.dirname, "../../examples");

/** Build the named modules of an example with Vite, and return their exports. */
export async function built(example, ...names) {
  const outDir = await mkdtemp(join(tmpdir(), "adapters-"));
  const input = Object.fromEntries(names.map((name) => [name, join(EXAMPLES, example, `src/${name}.ts`)]));
  await build({
    configFile: false,
    root: join(EXAMPLES, example),
    logLevel: "error",
    ssr: { noExternal: true },
    build: { ssr: true, outDir, rolldownOptions: { input, output: { entryFileNames: "[name].mjs" } } },
  });
  try {
    return Object.assign({}, ...(await Promise.all(names.map((name) => import(join(outDir, `${name}.mjs`))))));
  } finally {
    await rm(outDir, { recursive: true });
  }
}
