// Runs modules of the page that need no browser, as the page's build compiles them.
// Argument: a JSON list of [module, function, ...arguments]. Prints the results as JSON.
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

const root = fileURLToPath(new URL("../../web/app", import.meta.url));
const vite = await createServer({ root, appType: "custom", optimizeDeps: { noDiscovery: true }, logLevel: "error", server: { middlewareMode: true, ws: false, watch: null } });
// The modules use these parts of a browser.
Object.assign(globalThis, { localStorage: { getItem: () => null, setItem() {} }, document: { documentElement: {} } });
Object.defineProperty(globalThis, "navigator", { value: { languages: [] }, configurable: true });
const results = [];
for (const [module, name, ...values] of JSON.parse(process.argv[2])) {
  results.push(await (await vite.ssrLoadModule(module.startsWith("@") ? module : `/src/${module}.ts`))[name](...values));
}
await vite.close();
console.log(JSON.stringify(results));
