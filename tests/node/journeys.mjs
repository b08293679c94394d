// Arguments: Chromium's path, a folder for pictures or "-", then pairs of a set of journeys and its server's address.
// Prints "ok" or the error of each journey. The environment variable JOURNEY selects journeys by a part of their name.
import { finish, launch, watch } from "./browser.mjs";
import { CONSOLE } from "./console_journeys.mjs";
import * as pages from "./page_journeys.mjs";

const [executablePath, pictures, ...pairs] = process.argv.slice(2);
const only = process.env.JOURNEY;
const browser = await launch(executablePath);
const sets = { ...pages, CONSOLE };
const results = {};

async function travel(name, journey, address) {
  console.error(`Begins: ${name}`);
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
    await inTime(300, journey({ page, address, context, open, noted, picture }));
    results[name] = noted.length === 0 ? "ok" : noted.join("; ");
  } catch (error) {
    const line = error.stack.match(/\w+_journeys\.mjs:\d+/)?.[0];
    const shown = await inTime(60, description(page, picture, name)).catch((unknown) => `It cannot be read: ${unknown.message}`);
    results[name] = [error.message, `At ${line}`, ...noted, `The page at ${page.url()}:`, shown].join("\n");
  }
  await inTime(60, context.close()).catch((error) => {
    results[name] += `\nIts pages could not be closed: ${error.message}`;
  });
  console.error(`Ended: ${name}`);
}

/** Return what a page shows, after saving a picture of it. A page that hangs does not respond. */
async function description(page, picture, name) {
  await picture(`failed: ${name.slice(0, 40)}`);
  // The newest messages are at the end.
  return page.evaluate(() => `The focus is on ${document.activeElement.outerHTML.slice(0, 200)}, and its end is:\n${document.body.innerText.slice(-2000)}`);
}

/** Reject after so many seconds, so that what hangs does not block the other journeys. */
function inTime(seconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${seconds} seconds.`)), 1000 * seconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
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
if (unawaited.length > 0 && Object.values(results).every((result) => result === "ok")) {
  results["no journey awaits an error"] = unawaited.join("; ");
}
finish(results);
