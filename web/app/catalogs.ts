import compile from "icu-minify/compile";
import { transformWithOxc, type Plugin } from "vite";

/** Compile the page's texts at build time, so that the page needs no parser of ICU MessageFormat. */
export const compiledCatalogs: Plugin = {
  name: "compiled-catalogs",
  enforce: "pre",
  async transform(source, id) {
    if (!/\/src\/messages\/\w+\.ts$/.test(id)) return null;
    const { code } = await transformWithOxc(source, id);
    const catalogs = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as Record<string, Record<string, string>>;
    return Object.entries(catalogs).map(([name, texts]) => `export const ${name} = ${compiled(texts)};`).join("\n");
  },
};

function compiled(texts: Record<string, string>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, compile(text)])));
}
