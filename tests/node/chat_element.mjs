// Uses <tertulia-chat> on the page of an application, in a real browser that can reach only this machine.
// Arguments: Chromium's path, and the application's address. Prints "ok", or what went wrong.
import { readFileSync } from "node:fs";
import { check, finish, launch, watch } from "./browser.mjs";

const [executablePath, address] = process.argv.slice(2);
const AXE = readFileSync(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const HOSTILE = `/simulate repeat
<img src=x onerror="window.taken = 1"> [a link](javascript:window.taken=2) ![pixel](https://example.com/x.png) **bold**`;
const browser = await launch(executablePath);
const noted = [];
const page = watch(await browser.newPage({ reducedMotion: "reduce" }), "http://127.0.0.1", noted);

const chat = page.locator("tertulia-chat");
const field = chat.getByLabel("Message", { exact: true });
const answer = (count) => chat.locator("li.assistant[aria-busy=false]").nth(count - 1);
const events = (name) => page.evaluate((wanted) => window.seen.filter(([type]) => type === wanted).map(([, detail]) => detail), name);
const write = async (text) => {
  await field.fill(text);
  await field.press("Enter");
};

async function conversation() {
  await page.goto(address);
  await write("Hello, my name is Ada");
  await answer(1).getByText("Ada").first().waitFor();
  const [sent] = await events("tertulia-sent");
  await page.waitForFunction(() => window.seen.some(([type]) => type === "tertulia-answer"));
  const [ended] = await events("tertulia-answer");
  check(ended.status === "COMPLETED" && ended.text.includes("Ada"), `the event has ${JSON.stringify(ended)}`);
  check(ended.generationId === sent.generationId && ended.conversationId === sent.conversationId, "the ids differ");
  check((await chat.getAttribute("conversation")) === sent.conversationId, "the attribute has another conversation");
}

async function resumeAndStop() {
  await write("/simulate long 2000");
  await chat.getByText("word20 ", { exact: false }).waitFor();
  // The page opens the conversation again, in the middle of the answer.
  await page.reload();
  await chat.getByText("word40 ", { exact: false }).waitFor();
  await chat.getByRole("button", { name: "Stop" }).click();
  await chat.getByText("Stopped.").waitFor();
  const text = await answer(2).locator(".text").innerText();
  const numbers = [...text.matchAll(/word(\d+)/g)].map(([, number]) => Number(number));
  check(numbers.length >= 40 && numbers.every((number, place) => number === place + 1), "words are missing or repeated");
}

async function fileAndTools() {
  await chat.locator("input[type=file]").setInputFiles({ name: "list.txt", mimeType: "text/plain", buffer: Buffer.from("tea") });
  await chat.getByRole("button", { name: "Remove list.txt" }).waitFor();
  await write('/simulate call pay {"amount": 3}');
  await chat.locator("li.user").last().getByText("list.txt").waitFor();
  await chat.getByRole("button", { name: "Allow" }).click();
  await answer(3).getByText("Tool: pay").waitFor();
  await write('/simulate call openPage {"path": "/cart"}');
  await answer(4).waitFor();
  check((await page.evaluate(() => window.opened)).path === "/cart", "the client tool did not run");
  check((await chat.getByRole("button", { name: "Allow" }).count()) === 0, "the client tool asked for approval");
}

async function hostileTextAndErrors() {
  await write(HOSTILE);
  await answer(5).locator("strong").waitFor();
  check((await answer(5).locator("img").count()) === 0, "an image was created");
  for (const link of await answer(5).locator("a").all()) check(!/^javascript:/i.test((await link.getAttribute("href")) ?? ""), "a link runs a script");
  await write("/simulate server-error");
  await answer(6).getByRole("alert").waitFor();
}

async function appearance() {
  const style = (property) => chat.locator("section").evaluate((element, name) => getComputedStyle(element)[name], property);
  check((await style("backgroundColor")) === "rgb(1, 2, 3)", "the variable of the page does not apply");
  await chat.evaluate((element) => Object.assign(element, { theme: "dark", texts: { placeholder: "Ask about the shop" } }));
  check((await style("colorScheme")) === "dark", "the theme does not apply");
  await chat.getByPlaceholder("Ask about the shop").waitFor();
  await chat.evaluate((element) => element.style.setProperty("--tertulia-background", "#1b1b1d"));
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  check(violations.length === 0, violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`).join("; "));
}

let result = "ok";
try {
  for (const part of [conversation, resumeAndStop, fileAndTools, hostileTextAndErrors, appearance]) await part();
  check((await page.evaluate(() => window.taken)) === undefined, "a script in an answer ran");
  const blocked = (await page.evaluate(() => window.blocked)).concat(noted);
  check(blocked.length === 0, blocked.join("; "));
} catch (error) {
  const shown = await chat.evaluate((element) => element.shadowRoot?.textContent.slice(-1500)).catch(() => "");
  result = [error.message, ...noted, "The element showed:", shown].join("\n");
}
finish(result);
