// Runs modules of the page that need no browser. Argument: a JSON list of [module, function, ...arguments].
// Prints the results as JSON.
import { readFileSync } from "node:fs";
import { transformWithOxc } from "vite";

const SOURCE = new URL("../../web/app/src/", import.meta.url);

/** Compile a module, and those that it imports, and return its address. */
async function compiled(name) {
  const { code } = await transformWithOxc(readFileSync(new URL(`${name}.ts`, SOURCE), "utf8"), `${name}.ts`);
  const imports = [...code.matchAll(/from "\.\/([^"]+)"/g)].map(([, imported]) => imported);
  const addresses = await Promise.all(imports.map(compiled));
  const linked = imports.reduce((text, imported, position) => text.replaceAll(`"./${imported}"`, `"${addresses[position]}"`), code);
  return `data:text/javascript,${encodeURIComponent(linked)}`;
}

const results = [];
for (const [module, name, ...values] of JSON.parse(process.argv[2])) {
  results.push((await import(await compiled(module)))[name](...values));
}
console.log(JSON.stringify(results));
