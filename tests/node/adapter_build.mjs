// The modules of the examples that adapt Tertulia to other clients, as Vite builds them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";

const EXAMPLES = join(import.meta.dirname, "../../examples");

/** Give the modules of an example, as Vite builds them. */
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
