// A real browser that can reach only this machine, and the helpers of the journeys through the page.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { chromium } from "playwright-core";
import { slowed } from "./slow.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"];

/** Milliseconds after which a step of a page fails. It only ends tests that hang: slow machines need tens of seconds. */
export const TIMEOUT = 120_000;

/** Start Chromium. The environment variable SLOW, a number, makes its pages slow. The same number gives the same delays. */
export async function launch(executablePath) {
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  return process.env.SLOW ? slowed(browser, Number(process.env.SLOW)) : browser;
}

/** Print what a program found and end it, which kills Chromium. `browser.close()` would wait without a limit until it exits. */
export function finish(found) {
  console.log(JSON.stringify(found, null, 1));
  process.exit();
}

/** Record a page's requests to other hosts, and its errors. */
export function watch(page, address, noted) {
  page.setDefaultTimeout(TIMEOUT);
  page.on("request", (request) => {
    const wanted = request.url();
    if (![address, address.replace("http", "ws"), "data:", "blob:"].some((start) => wanted.startsWith(start))) noted.push(`asked for ${wanted}`);
  });
  page.on("pageerror", (error) => noted.push(`threw ${error.message}`));
  page.on("console", (message) => message.type() === "error" && noted.push(`console: ${message.text()}`));
  return page;
}

export function check(holds, words) {
  if (!holds) throw new Error(words);
}

export const message = (page) => page.getByLabel("Message", { exact: true });
export const answers = (page) => page.locator('li[data-role="assistant"]');
export const finished = (page, count) => page.locator('li[data-role="assistant"][aria-busy="false"]').nth(count - 1);

export async function send(page, text) {
  await message(page).fill(text);
  await message(page).press("Enter");
}

/** Send a message and wait until the nth answer is complete. */
export async function sendAndWait(page, text, count) {
  await send(page, text);
  await finished(page, count).waitFor();
  return finished(page, count);
}

export const numberedWords = (last) => `${Array.from({ length: last }, (_, place) => `word${place + 1}`).join(" ")}.`;
export const words = async (locator) => (await locator.locator(".text").allInnerTexts()).join("").replace(/\s+/g, " ").trim();

/** Send a GraphQL request to the server, without the page. */
export async function ask(address, query, variables = {}, headers = {}) {
  const response = await fetch(`${address}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()).data;
}

/** A proxy between the page and the server, whose connections can be cut and restored. */
export async function network(address) {
  const to = new URL(address);
  const open = new Set();
  let cut = false;
  let silent = false;
  const server = net.createServer((near) => {
    if (cut) return near.destroy();
    if (silent) return open.add(near);
    const far = net.connect(Number(to.port), to.hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => { open.delete(one); other.destroy(); });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    cut() { cut = true; for (const socket of open) socket.destroy(); },
    /** Deliver nothing more, without closing connections. */
    silence() { silent = true; for (const socket of open) { socket.unpipe(); socket.resume(); } },
    restore() { cut = false; },
    close() { this.cut(); server.close(); },
  };
}

/** Check a page with axe-core. `place` names what it shows. */
export async function audit(page, place) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const said = found.violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((node) => node.target).join(" ")}`);
  check(said.length === 0, `${place}: ${said.join("; ")}`);
}
