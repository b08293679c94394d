// Takes the screenshots for README.md and the guides. Arguments: the server's address, Chromium's path, a folder.
import { answers, ask, finished, launch, message, send } from "../../tests/node/browser.mjs";

const [address, executablePath, folder] = process.argv.slice(2);
const browser = await launch(executablePath);
let frame = 0;

async function open(size, colorScheme) {
  const context = await browser.newContext({ viewport: size, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  return page;
}

async function shoot(page, stage) {
  frame += 1;
  await page.screenshot({ path: `${folder}/frame-${String(frame).padStart(3, "0")}-${stage}.png` });
}

/** Take frames until the answer has `done` characters. */
async function film(page, stage, done) {
  let length = 0;
  while (length < done) {
    await shoot(page, stage);
    length = (await answers(page).last().innerText().catch(() => "")).length;
  }
}

async function refreshed() {
  const page = await open({ width: 860, height: 520 }, "light");
  await page.goto(address);
  await message(page).waitFor();
  await shoot(page, "ask");
  const question = "What is a tertulia?";
  for (const cut of [7, 14, question.length]) {
    await message(page).fill(question.slice(0, cut));
    await shoot(page, "ask");
  }
  await message(page).press("Enter");
  await answers(page).locator(".text").waitFor();
  await film(page, "answer", 260);
  // The empty page between the old and the new one.
  await page.evaluate(() => document.getElementById("root").remove());
  await shoot(page, "refresh");
  await page.reload();
  await answers(page).locator(".text").waitFor();
  await film(page, "on", 620);
  await finished(page, 1).waitFor();
  await shoot(page, "whole");
  return page.url();
}

async function stills(conversation) {
  for (const [name, size, scheme] of [
    ["page-light", { width: 1280, height: 800 }, "light"],
    ["page-dark", { width: 1280, height: 800 }, "dark"],
    ["page-narrow", { width: 390, height: 800 }, "light"],
  ]) {
    const page = await open(size, scheme);
    await page.goto(conversation);
    await finished(page, 1).waitFor();
    await page.locator(".hljs-keyword").first().waitFor();
    await page.screenshot({ path: `${folder}/${name}.png` });
  }
  const page = await open({ width: 1280, height: 800 }, "light");
  await page.goto(`${address}/graphql`);
  await page.locator(".graphiql-query-editor .view-line").first().waitFor();
  await page.screenshot({ path: `${folder}/graphiql.png` });
}

const TITLE = "mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { __typename } }";

async function named(url, title) {
  const id = new URL(url).searchParams.get("c");
  await ask(address, TITLE, { input: { id, title, pinned: title.startsWith("A weekend") } });
}

for (const [text, title] of [["Plan a weekend in Lisbon", "A weekend in Lisbon"], ["Why is the sky dark?", "Why the sky is dark"]]) {
  const page = await open({ width: 1280, height: 800 }, "light");
  await page.goto(address);
  await send(page, text);
  await finished(page, 1).waitFor();
  await named(page.url(), title);
}
const conversation = await refreshed();
await named(conversation, "What a tertulia is");
await stills(conversation);
await browser.close();
