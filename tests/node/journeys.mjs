// Arguments: Chromium's path, a folder for pictures or "-", then pairs of a set of journeys and its server's address.
// Prints "ok" or the error of each journey. The environment variable JOURNEY selects journeys by a part of their name.
import { launch, watch } from "./browser.mjs";
import { CONSOLE } from "./console_journeys.mjs";
import * as pages from "./page_journeys.mjs";

const [executablePath, pictures, ...pairs] = process.argv.slice(2);
const only = process.env.JOURNEY;
const browser = await launch(executablePath);
const sets = { ...pages, CONSOLE };
const results = {};

async function travel(name, journey, address) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce" });
  const noted = [];
  const open = async (url) => {
    const page = watch(await context.newPage(), new URL(url).origin, noted);
    await page.goto(url);
    return page;
  };
  const page = await context.newPage();
  watch(page, "http://127.0.0.1", noted);
  const picture = async (called, of = page) => pictures !== "-" && of.screenshot({ path: `${pictures}/${called}.png` });
  try {
    await inTime(journey({ page, address, context, open, noted, picture }));
    results[name] = noted.length === 0 ? "ok" : noted.join("; ");
  } catch (error) {
    await picture(`failed: ${name.slice(0, 40)}`);
    const line = error.stack.match(/\w+_journeys\.mjs:\d+/)?.[0];
    const focused = await page.evaluate(() => document.activeElement.outerHTML.slice(0, 200)).catch(() => "");
    // The newest messages are at the end.
    const shown = await page.evaluate(() => document.body.innerText.slice(-2000)).catch(() => "");
    results[name] = [error.message, `At ${line}, with the focus on ${focused}`, ...noted, `The page at ${page.url()} showed at its end:`, shown].join("\n");
  } finally {
    await context.close();
  }
}

/** Fail a journey after 300 seconds, so that it does not block the others. */
function inTime(journey) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("It took longer than 300 seconds.")), 300_000);
  });
  return Promise.race([journey, late]).finally(() => clearTimeout(timer));
}

// A journey that waits for an event while it acts can fail twice. That must not end the other journeys.
const unawaited = [];
process.on("unhandledRejection", (error) => unawaited.push(error.message));

const waiting = [];
for (let index = 0; index < pairs.length; index += 2) {
  for (const [name, journey] of Object.entries(sets[pairs[index]])) {
    if (!only || name.includes(only)) waiting.push([name, journey, pairs[index + 1]]);
  }
}
// Four at a time: a journey spends most of its time waiting for the simulated Claude.
await Promise.all(Array.from({ length: 4 }, async () => {
  for (let next = waiting.shift(); next; next = waiting.shift()) await travel(...next);
}));
await browser.close();
if (unawaited.length > 0 && Object.values(results).every((result) => result === "ok")) {
  results["no journey awaits an error"] = unawaited.join("; ");
}
console.log(JSON.stringify(results, null, 1));
