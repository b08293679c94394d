// Opens pages in a real browser while their answers are interrupted and continued.
// Arguments: Chromium's path, a folder for pictures or "-", then NAME=ADDRESS of each page. Prints for each page the texts
// that its answers showed, one after another, or its error.
import { finish, launch, watch } from "./browser.mjs";

const [executablePath, pictures, ...pages] = process.argv.slice(2);
const browser = await launch(executablePath);

/** Runs in the page: `shown` records each change of the answer to the last question. */
function record() {
  window.shown = [];
  window.answer = () => {
    const items = [...document.querySelectorAll("li")];
    const isQuestion = (item) => item.matches("[data-role=user], .user");
    const question = items.findLastIndex(isQuestion);
    const answer = items.slice(question + 1).filter((item) => item.matches("[data-role=assistant], .assistant"));
    const text = answer.map((item) => {
      const copy = item.cloneNode(true);
      const beside = "details, section, button, h2, small, .note, .notice, .working, .actions, [role=alert]";
      for (const element of copy.querySelectorAll(beside)) element.remove();
      return copy.textContent.trim() && copy.textContent;
    }).join("");
    const notes = answer.flatMap((item) => [...item.querySelectorAll(".note")].map((note) => note.textContent));
    const alerts = [...document.querySelectorAll("[role=alert]")].filter((item) => item.checkVisibility());
    const busy = answer.some((item) => item.ariaBusy === "true");
    return { asked: items.filter(isQuestion).length, text, busy, notes, alerts: alerts.map((item) => item.textContent).filter(Boolean) };
  };
  new MutationObserver(() => {
    const now = window.answer();
    if (JSON.stringify(now) !== JSON.stringify(window.shown.at(-1))) window.shown.push(now);
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
}

async function answered(page, name, question, half, end) {
  const picture = (moment) => pictures !== "-" && page.screenshot({ path: `${pictures}/${name}-${question}-${moment}.png` });
  const shows = (words, busy) =>
    page.waitForFunction(([words, busy]) => window.answer().text.includes(words) && (busy || !window.answer().busy), [words, busy]);
  const asked = await page.evaluate(() => window.answer().asked);
  await page.getByLabel("Message", { exact: true }).fill(question);
  await page.getByRole("button", { name: "Send" }).click();
  await page.waitForFunction((asked) => window.answer().asked > asked, asked);
  await shows(half, true);
  await picture("interrupted");
  await shows(end, false);
  await picture("continued");
  return page.evaluate((asked) => window.shown.filter((state) => state.asked > asked), asked);
}

async function seenIn(name, address) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 600 }, reducedMotion: "reduce" });
  const noted = [];
  const page = watch(await context.newPage(), new URL(address).origin, noted);
  try {
    await page.addInitScript(record);
    await page.goto(address);
    const word = await answered(page, name, "Write", "The quick bro", "jumps.");
    const call = await answered(page, name, "Call", "Let me look.", "It is there.");
    const calls = await page.locator("details.call summary").allInnerTexts();
    await page.reload();
    await page.waitForFunction(() => window.answer().text.includes("It is there."));
    return { word, call, calls, later: await page.evaluate(() => window.answer()), noted };
  } catch (error) {
    const body = await page.locator("body").innerText().catch(String);
    return { error: `${error.stack}\n${body}`, noted };
  } finally {
    await context.close();
  }
}

const found = {};
// One after another: the scripted Claude answers requests in the order in which they arrive.
for (const pair of pages) {
  const [name, address] = pair.split(/=(.*)/);
  found[name] = await seenIn(name, address);
}
finish(found);
