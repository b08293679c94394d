// Runs the same journey through several examples, in a real browser that can reach only this machine.
// Arguments: Chromium's path, then NAME=ADDRESS of each example. Prints what each example showed, or its error.
import { connect, createServer } from "node:net";
import { finish, launch, TIMEOUT } from "./browser.mjs";

const [executablePath, ...examples] = process.argv.slice(2);
const ANSWERS = "li[data-role=assistant]";

/** A proxy between the browser and an example, whose connections can be cut and restored. */
async function proxy(address) {
  const open = new Set();
  const seen = { down: false, refused: () => {} };
  const server = createServer((near) => {
    if (seen.down) {
      near.destroy();
      seen.refused();
      return;
    }
    const far = connect(Number(new URL(address).port), "127.0.0.1");
    for (const [socket, other] of [[near, far], [far, near]]) {
      open.add(socket);
      socket.on("error", () => {}).on("close", () => (open.delete(socket), other.destroy())).pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    /** Cut all connections, and wait until a new one has been refused. */
    cut: () => new Promise((resolve, reject) => {
      Object.assign(seen, { down: true, refused: resolve });
      setTimeout(() => reject(new Error("nobody tried to connect again")), 60_000).unref();
      for (const socket of open) socket.destroy();
    }),
    restore: () => (seen.down = false),
    close: () => server.close(),
  };
}

/** Runs in the page: `said` returns an answer's text without notes, and `lost` records each answer that became shorter. */
function watch() {
  const last = new Map();
  window.lost = [];
  window.said = (item) => {
    const copy = item.cloneNode(true);
    for (const beside of copy.querySelectorAll("details, button, .note, [role=alert]")) beside.remove();
    return copy.textContent;
  };
  new MutationObserver(() => {
    for (const [index, item] of document.querySelectorAll("li[data-role=assistant]").entries()) {
      const text = window.said(item);
      const before = last.get(index) ?? "";
      if (!text.startsWith(before)) window.lost.push({ before, text });
      last.set(index, text);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true });
}

async function journey(browser, address) {
  const network = await proxy(address);
  const context = await browser.newContext();
  const problems = [];
  context.setDefaultTimeout(TIMEOUT);
  await context.addInitScript(watch);
  await context.route("**/*", (route) => {
    const wanted = route.request().url();
    if (wanted.startsWith(network.address) || wanted.startsWith("data:")) return route.fallback();
    problems.push(`asked for ${wanted}`);
    return route.abort();
  });

  const open = async (url) => {
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(url);
    return page;
  };
  const send = async (page, text) => {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByRole("button", { name: "Send" }).click();
  };
  const said = (page) => page.locator(ANSWERS).last().evaluate((item) => window.said(item));
  const alert = async (page) => {
    await page.getByRole("alert").waitFor();
    return page.getByRole("alert").innerText();
  };
  /** Wait until the last answer is longer than this text and contains `words`, and return it. */
  const more = async (page, than, words = "") => {
    await page.waitForFunction(([answers, than, words]) => {
      const item = [...document.querySelectorAll(answers)].at(-1);
      const text = item ? window.said(item) : "";
      return text.length > than.length && text.includes(words);
    }, [ANSWERS, than, words]);
    return said(page);
  };
  /** Wait until this many answers are complete, and return the last one. */
  const whole = async (page, count) => {
    await page.locator(ANSWERS).nth(count - 1).and(page.locator("[aria-busy=false]")).waitFor();
    return said(page);
  };

  try {
    const seen = {};
    const page = await open(network.address);
    await send(page, "Hello, my name is Ada");
    seen.greeting = await whole(page, 1);
    seen.address = page.url();
    const idle = await open(seen.address);
    await whole(idle, 1);

    // The server accepts the message, but the page receives no response. Its next attempt must be the same message.
    seen.keys = [];
    const keyed = (request) => {
      const key = /"idempotencyKey":"([^"]+)"/.exec(request.postData() ?? "");
      if (key) seen.keys.push(key[1]);
    };
    page.on("request", keyed);
    await page.route("**/graphql", async (route) => {
      await route.fetch();
      await route.abort("connectionreset");
    }, { times: 1 });
    await send(page, "/simulate long 400");
    seen.unheard = await alert(page);
    await page.getByRole("button", { name: "Send" }).click();

    const before = await more(page, "", "word20 ");
    await page.reload();
    const refreshed = await more(page, "");
    seen.refreshed = { before, after: refreshed, goesOn: await more(page, refreshed) };

    await send(idle, "And I?");
    seen.busy = await alert(idle);
    seen.draft = await idle.getByLabel("Message", { exact: true }).inputValue();
    await more(idle, refreshed);
    const second = await open(seen.address);
    await more(second, refreshed);

    await page.locator(`${ANSWERS}[aria-busy=true]`).waitFor();
    await network.cut();
    const cut = await said(page);
    network.restore();
    seen.cut = { before: cut, goesOn: await more(page, cut) };
    seen.answers = await Promise.all([page, idle, second].map((each) => whole(each, 2)));
    const roles = (items) => items.map((item) => item.dataset.role);
    seen.roles = await page.locator("[aria-label=Messages] > li").evaluateAll(roles);

    await send(page, "/simulate long 2000");
    await page.locator(ANSWERS).nth(2).waitFor();
    const running = await more(page, "", "word10 ");
    await page.getByRole("button", { name: "Stop" }).click();
    seen.stopped = { before: running, after: await whole(page, 3) };

    await send(page, "/simulate error 1 reject");
    seen.failed = { text: await whole(page, 4), alert: await alert(page) };
    await page.reload();
    seen.failed.refreshed = await alert(page);
    seen.lost = (await Promise.all([page, idle, second].map((each) => each.evaluate(() => window.lost)))).flat();
    return { ...seen, problems };
  } catch (error) {
    const pages = await Promise.all(context.pages().map((page) => page.locator("body").innerText().catch(String)));
    return { error: String(error.stack), pages, problems };
  } finally {
    await context.close();
    network.close();
  }
}

const browser = await launch(executablePath);
const pairs = examples.map((example) => example.split(/=(.*)/));
const found = await Promise.all(pairs.map(async ([name, address]) => [name, await journey(browser, address)]));
finish(Object.fromEntries(found));
