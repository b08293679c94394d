// Parses the page's texts in all languages. Prints as JSON, by language, the plural categories of the language, and of each
// text: its words, its arguments and tags with their types, and the forms of each of its plurals; or why it cannot be parsed.
import { readdirSync, readFileSync } from "node:fs";
import { parse, TYPE } from "@formatjs/icu-messageformat-parser";
import { transformWithOxc } from "vite";

const folder = new URL("../../web/app/src/messages/", import.meta.url);

async function catalog(file) {
  const { code } = await transformWithOxc(readFileSync(new URL(file, folder), "utf8"), file);
  return Object.values(await import(`data:text/javascript,${encodeURIComponent(code)}`))[0];
}

function collect(nodes, found) {
  for (const node of nodes) {
    if (node.type === TYPE.literal) found.words += ` ${node.value}`;
    else if (node.type !== TYPE.pound) found.names.add(`${node.value}: ${TYPE[node.type] ?? node.type}`);
    if (node.type === TYPE.plural) {
      found.plurals.push(Object.keys(node.options));
      for (const { value } of Object.values(node.options)) collect(value, found);
    }
    if (node.type === TYPE.tag) collect(node.children, found);
  }
  return found;
}

function parsed(text) {
  try {
    const { words, names, plurals } = collect(parse(text), { words: "", names: new Set(), plurals: [] });
    return { words: words.trim(), names: [...names].sort(), plurals };
  } catch (error) {
    return { error: error.message };
  }
}

const languages = {};
for (const file of readdirSync(folder)) {
  const language = file.replace(".ts", "");
  const texts = Object.entries(await catalog(file)).map(([key, text]) => [key, parsed(text)]);
  const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
  languages[language] = { categories, texts: Object.fromEntries(texts) };
}
console.log(JSON.stringify(languages));
