// Uses the page of examples/sse for a conversation, in a real browser that can reach only this machine.
// Arguments: Chromium's path, the page's address. Prints what the page showed as JSON.
import { connect, createServer } from "node:net";
import { finish, launch, TIMEOUT } from "./browser.mjs";

const [executablePath, address] = process.argv.slice(2);

/** A proxy between the browser and the page. While `down` is true, it refuses connections. */
const network = { down: false, open: new Set(), refused: () => {} };
const proxy = createServer((near) => {
  if (network.down) return near.destroy(), network.refused();
  const far = connect(Number(new URL(address).port), "127.0.0.1");
  for (const [socket, other] of [[near, far], [far, near]]) {
    network.open.add(socket);
    socket.on("error", () => {}).on("close", () => (network.open.delete(socket), other.destroy())).pipe(other);
  }
});
await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));
const near = `http://127.0.0.1:${proxy.address().port}`;

/** Cut all connections, and wait until a new connection of the page has been refused. */
function cut() {
  return new Promise((refused) => {
    Object.assign(network, { down: true, refused });
    for (const socket of network.open) socket.destroy();
  });
}

/** Stop forwarding on the open connections without closing them. */
function silence() {
  for (const socket of network.open) socket.unpipe().pause();
}

const browser = await launch(executablePath);
const page = await browser.newPage();
page.setDefaultTimeout(TIMEOUT);
const problems = [];
page.on("pageerror", (error) => problems.push(error.message));
page.on("websocket", (socket) => problems.push(`opened a socket to ${socket.url()}`));
page.on("request", (request) => request.url().startsWith(near) || request.url().startsWith("data:") || problems.push(`asked for ${request.url()}`));
const follows = [];
page.on("request", (request) => {
  const { query, variables } = JSON.parse(request.postData() ?? "{}");
  if (query?.includes("subscription")) follows.push({ accept: request.headers().accept, after: variables.after });
});

const last = page.locator("ol[aria-label=Messages] > li[data-role=assistant]").last();
const said = () => last.locator("span").allInnerTexts().then((texts) => texts.join(""));

async function send(text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
}

/** Wait until the last answer is longer than this text, and return it. */
async function more(than) {
  await page.waitForFunction((length) => {
    const item = [...document.querySelectorAll("li[data-role=assistant]")].at(-1);
    return (item?.querySelector("span")?.textContent ?? "").length > length;
  }, than.length);
  return said();
}

const whole = () => last.and(page.locator("[aria-busy=false]")).waitFor();
const seen = {};
try {
  await page.clock.install();
  await page.goto(near);
  await send("/simulate thinking");
  await whole();
  seen.thought = await last.locator(".note").innerText();
  await send("Hello, my name is Ada 😀");
  await page.locator("li[data-role=user]").nth(1).waitFor();
  await whole();
  seen.first = await said();
  seen.address = page.url();

  await send("/simulate long 2000");
  await page.getByText("word20 ").waitFor();
  seen.before = await said();
  await page.reload();
  await last.and(page.locator("[aria-busy=true]")).waitFor();
  seen.refreshed = await more(seen.before);
  seen.sendable = await page.getByRole("button", { name: "Send" }).isEnabled();
  follows.length = 0;
  await cut();
  await page.getByRole("status").waitFor();
  seen.cut = await said();
  network.down = false;
  seen.reconnected = await more(seen.cut);
  await page.getByRole("status").waitFor({ state: "hidden" });
  silence();
  seen.silenced = await said();
  await page.clock.fastForward(20_000);
  seen.heard = await more(seen.silenced);
  seen.resumed = follows.map(({ after }) => after > 0);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  seen.stopped = await said();
  seen.stopShown = await page.getByRole("button", { name: "Stop" }).isVisible();

  await send("/simulate error 1 reject");
  seen.failed = await page.getByRole("alert").innerText();
  await page.reload();
  await page.getByRole("alert").waitFor();
  seen.roles = await page.locator("ol > li").evaluateAll((items) => items.map((item) => [item.dataset.role, item.ariaBusy]));
  seen.accepts = [...new Set(follows.map(({ accept }) => accept))];
  finish({ ...seen, problems });
} catch (error) {
  process.exitCode = 1;
  finish({ ...seen, error: String(error.stack), body: await page.locator("body").innerText(), problems });
}
