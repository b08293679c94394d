// Journeys through the page, each in its own browser context.
import { readFileSync } from "node:fs";
import dgram from "node:dgram";
import net from "node:net";
import { attempt } from "./attempts.mjs";
import { answers, ask, audit, check, numberedWords, finished, message, network, send, sendAndWait, watch, words } from "./browser.mjs";

const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC", "base64");
const TEXT_OF = "query ($id: ID!) { conversation(id: $id) { messages(last: 10) { edges { node { role text } } } } }";
const RATINGS_OF = "query ($id: ID!) { conversation(id: $id) { messages(last: 10) { edges { node { rating { rating comment } } } } } }";

const idOf = (page) => new URL(page.url()).searchParams.get("c");
const focusIs = (page, id) => page.waitForFunction((id) => document.activeElement?.id === id, id);
const entry = (page, title) => page.locator("nav li.entry").filter({ hasText: title }).first();
const visibleIn = (locator) => locator.evaluate((element) => {
  const { top } = element.getBoundingClientRect();
  return top >= 0 && top < innerHeight;
});
/** Wait until an attached image is loaded, and return its width. Only its owner can load it, so it is fetched by a script. */
async function widthOfAttached(page) {
  const image = page.locator("img.attached[src^='blob:']").first();
  await image.waitFor();
  return image.evaluate((loaded) => loaded.decode().then(() => loaded.naturalWidth));
}

/** Return a promise, and the function that resolves it. */
function gate() {
  let open;
  const opened = new Promise((resolve) => { open = resolve; });
  return { opened, open };
}

/** Record what the page copies: all journeys share the browser's clipboard. */
async function recordCopies(page) {
  await page.addInitScript(() => {
    navigator.clipboard.writeText = async (text) => { window.copied = text; };
  });
  return async (part) => {
    await page.waitForFunction((part) => window.copied?.includes(part), part);
    return page.evaluate(() => window.copied);
  };
}

const messageText = (page) => page.locator('li[data-role="user"] .said').last().innerText();

async function startConversation(page, address, text = "Hello, my name is Ada") {
  await page.goto(address);
  return sendAndWait(page, text, 1);
}

/** Wait until the nth answer is complete and equals this text. */
/** Return whether no answer of a conversation is being written. */
async function hasEnded(address, id) {
  return (await ask(address, "query ($id: ID!) { conversation(id: $id) { activeGeneration { id } } }", { id })).conversation.activeGeneration === null;
}

async function waitForText(page, count, text) {
  await page.waitForFunction(([place, wanted]) => {
    const answer = document.querySelectorAll('li[data-role="assistant"]')[place];
    return answer?.ariaBusy === "false" && answer.querySelector(".text")?.innerText.replace(/\s+/g, " ").trim() === wanted;
  }, [count - 1, text]);
}

/** Import a conversation of `count` short messages, and return its id. The message at `position` has the given text. */
async function importConversation(address, count, position, text) {
  const at = "2026-01-01T00:00:00+00:00";
  const lines = [
    { type: "tertulia-export", version: 1, exported_at: at },
    { type: "conversation", id: "c", title: "A long one", model: "claude-opus-5-5", created_at: at, updated_at: at },
  ];
  for (let index = 0; index < count; index += 1) {
    const content = index === position ? text : `Message ${index}.`;
    lines.push({
      type: "message", id: `m${index}`, parent_id: index ? `m${index - 1}` : null, role: index % 2 ? "assistant" : "user",
      content: [{ type: "text", text: content }], created_at: at,
    });
  }
  const form = new FormData();
  form.append("file", new File([lines.map((line) => JSON.stringify(line)).join("\n")], "long.jsonl"));
  const response = await fetch(`${address}/import`, { method: "POST", body: form });
  check(response.ok, `the import was refused: ${response.status}`);
  return (await response.json()).conversation_ids[0];
}

/** Import `count` conversations without messages, one for each of the last days. */
async function importDays(address, count) {
  const at = "2026-01-01T00:00:00+00:00";
  const lines = [{ type: "tertulia-export", version: 1, exported_at: at }];
  for (let day = 0; day < count; day += 1) {
    const time = new Date(Date.now() - day * 86_400_000).toISOString();
    lines.push({ type: "conversation", id: `d${day}`, title: `Day ${day}`, model: "claude-opus-5-5", created_at: time, updated_at: time });
  }
  const form = new FormData();
  form.append("file", new File([lines.map((line) => JSON.stringify(line)).join("\n")], "days.jsonl"));
  const response = await fetch(`${address}/import`, { method: "POST", body: form });
  check(response.ok, `the import was refused: ${response.status}`);
}

/**
 * Count the components of messages that React renders, as its developer tools do. Runs in the page, before its scripts.
 * `window.renders` has the count of the last message, and the names of the components of the others.
 */
function countRenders() {
  const PERFORMED_WORK = 1;
  window.renders = { growing: 0, others: [] };
  const elementOf = (fiber) => {
    let inner = fiber;
    while (inner && !(inner.stateNode instanceof Element)) inner = inner.child;
    return inner?.stateNode;
  };
  const visit = (fiber, last) => {
    const turn = typeof fiber.type !== "string" && fiber.flags & PERFORMED_WORK ? elementOf(fiber)?.closest(".turns > li") : null;
    if (turn === last && turn) window.renders.growing += 1;
    else if (turn) window.renders.others.push(fiber.type?.name ?? fiber.type?.type?.name);
    // React has skipped all components below.
    if (fiber.child === fiber.alternate?.child) return;
    for (let child = fiber.child; child; child = child.sibling) visit(child, last);
  };
  window.__REACT_DEVTOOLS_GLOBAL_HOOK__ = {
    supportsFiber: true,
    inject: () => 1,
    onCommitFiberRoot: (_, root) => visit(root.current, [...document.querySelectorAll(".turns > li")].at(-1)),
    onCommitFiberUnmount() {},
  };
}

async function openSearchResult(page, words) {
  await page.keyboard.press("Control+k");
  await page.locator("#search").fill(words);
  await page.locator("a.hit").filter({ hasText: words }).first().click();
}

/** Choose with the keyboard: the list can move under the mouse, because other journeys use it too. */
async function chooseFromMenu(page, title, action) {
  await entry(page, title).locator("summary").press("Enter");
  await entry(page, title).getByRole("button", { name: action, exact: true }).press("Enter");
}

async function rename(page, title, changed) {
  await chooseFromMenu(page, title, "Rename");
  await page.getByLabel("Title", { exact: true }).fill(changed);
  await page.keyboard.press("Enter");
  await entry(page, changed).waitFor();
}

async function openSection(page, name) {
  await page.getByRole("dialog").getByRole("link", { name, exact: true }).click();
  await page.getByRole("region", { name, exact: true }).waitFor();
}

/** Read the web manifest as a browser does that installs the page as an app. */
async function checkManifest(page, address) {
  const devtools = await page.context().newCDPSession(page);
  const { url, errors, data } = await devtools.send("Page.getAppManifest");
  check(errors.length === 0 && data, `the manifest ${url} has errors: ${JSON.stringify(errors)}`);
  const manifest = JSON.parse(data);
  check(new URL(manifest.start_url, url).href === `${address}/`, `the app starts at ${manifest.start_url}`);
  for (const { src, type, sizes } of manifest.icons) {
    const response = await fetch(new URL(src, url));
    check(response.headers.get("content-type") === type, `${src} has the type ${response.headers.get("content-type")}`);
    const width = Buffer.from(await response.arrayBuffer()).readUInt32BE(16);
    check(sizes === "any" || sizes === `${width}x${width}`, `${src} is ${width} pixels wide`);
  }
}

const COUNTER = (color) => `\`\`\`html
<!doctype html><title>Counter</title><body bgcolor=${color}><button onclick="this.textContent++">0</button>
\`\`\``;

export const LOCAL = {
  async "a first message is answered, and its conversation gets a title and is listed"({ page, address }) {
    const answer = await startConversation(page, address);
    check((await words(answer)).includes("Ada"), "no greeting");
    check(idOf(page), "no conversation in the address");
    await page.locator(`nav li.entry a[href*="${idOf(page)}"]`).filter({ hasText: "Ada" }).waitFor();
    check(await page.locator("#simulated").isVisible(), "the notice about the simulated Claude is missing");
    await page.getByRole("status").filter({ hasText: "Claude says: " }).waitFor({ state: "attached" });
  },

  async "answers that end before the page reads them are announced"({ page, address }) {
    await page.goto(address);
    await page.route("**/graphql", async (route) => {
      const { query, variables } = route.request().postDataJSON();
      while (query.includes("query Conversation(") && !(await hasEnded(address, variables.id)));
      return route.fallback();
    });
    const announced = (text) => page.getByRole("status").filter({ hasText: "Claude says: " }).filter({ hasText: text }).waitFor({ state: "attached" });
    await send(page, "Hello, my name is Ada");
    await announced("Ada");
    await page.getByRole("button", { name: "Edit message" }).click();
    await page.getByLabel("Edit message").fill("Hello, my name is Grace");
    await page.keyboard.press("Enter");
    await announced("Grace");
    await page.locator("li.user").getByRole("button", { name: "Previous version" }).click();
    await finished(page, 1).getByText("Ada").waitFor();
    await finished(page, 1).getByRole("button", { name: "Regenerate" }).click();
    await announced("Ada");
  },

  async "a refreshed page continues the answer, and no word is lost or repeated"({ page, address }) {
    await page.goto(address);
    await send(page, "/simulate long 300");
    await answers(page).getByText("word20").waitFor();
    const before = await words(answers(page));
    await page.reload();
    await answers(page).getByText("word20").waitFor();
    check((await words(answers(page))).length >= before.length, "the text became shorter");
    await finished(page, 1).waitFor();
    await waitForText(page, 1, numberedWords(300));
    const { conversation } = await ask(address, TEXT_OF, { id: idOf(page) });
    check(conversation.messages.edges[1].node.text.trim() === numberedWords(300), "the stored text is different");
  },

  async "a second tab follows the same answer, and stops it for both"({ page, address, open }) {
    await page.goto(address);
    await send(page, "/simulate long 2000");
    await answers(page).getByText("word10").waitFor();
    const second = await open(page.url());
    await answers(second).getByText("word20").waitFor();
    await second.getByRole("button", { name: "Stop" }).click();
    for (const one of [page, second]) await one.getByText("Stopped.", { exact: true }).waitFor();
    check(await words(answers(page)) === await words(answers(second)), "the tabs show different texts");
    check(!(await words(answers(page))).includes("word2000"), "it was not stopped");
  },

  async "a message sent in one tab appears in the other"({ page, address, open }) {
    await startConversation(page, address);
    const second = await open(page.url());
    await finished(second, 1).waitFor();
    await sendAndWait(second, "What is my name?", 2);
    await finished(page, 2).waitFor();
    check(await words(finished(page, 2)) === await words(finished(second, 2)), "the tabs show different texts");
  },

  async "what is written and attached while the first message is being sent stays in the box"({ page, address }) {
    const held = { sendMessage: gate(), attachments: gate() };
    await page.route("**/*", async (route) => {
      const request = route.request();
      if (request.postData()?.includes("mutation Send(")) await held.sendMessage.opened;
      if (request.url().endsWith("/attachments")) await held.attachments.opened;
      return route.fallback();
    });
    await page.goto(address);
    await send(page, "Hello, my name is Ada");
    await page.locator("li.user").waitFor();
    await message(page).fill("What do you see?");
    await page.locator('input[type="file"]').setInputFiles({ name: "dot.png", mimeType: "image/png", buffer: PNG });
    held.sendMessage.open();
    await finished(page, 1).waitFor();
    await message(page).press("Enter");
    held.attachments.open();
    await finished(page, 2).waitFor();
    check(await messageText(page) === "What do you see?" && await page.locator("img.attached").count() === 1, "something was lost");
    await page.getByRole("link", { name: "New conversation" }).first().click();
    await page.getByRole("heading", { name: "How can I help?" }).waitFor();
    check(await message(page).inputValue() === "", "the text is in the next new conversation");
    await page.unrouteAll({ behavior: "ignoreErrors" });
  },

  async "no word is lost when the network fails and returns"({ page, address, noted }) {
    const between = await network(address);
    await page.goto(between.address);
    await send(page, "/simulate long 120");
    await answers(page).getByText("word20").waitFor();
    between.cut();
    await page.getByText("Reconnecting… your answer continues.").waitFor();
    between.restore();
    await finished(page, 1).waitFor();
    await waitForText(page, 1, numberedWords(120));
    await page.getByText("Reconnecting").waitFor({ state: "detached" });
    between.close();
    noted.length = 0;
  },

  async "messages written without a connection survive a refresh, and are sent once when it returns"({ page, address, noted }) {
    const between = await network(address);
    await page.goto(between.address);
    await sendAndWait(page, "Hello, my name is Ada", 1);
    between.cut();
    await page.getByText("Reconnecting").waitFor();
    await send(page, "What is my name?");
    await send(page, "And what is yours?");
    await page.getByText("It will be sent when the connection is back.").nth(1).waitFor();
    check(await message(page).inputValue() === "", "the text is still in the box");
    // The page is refreshed before it has noticed that the connection is back.
    let left = false;
    await page.route("**/*", (route) => {
      left ||= route.request().isNavigationRequest();
      return left ? route.continue() : route.abort();
    });
    between.restore();
    await page.reload();
    await page.getByText("You’re back online. Your messages were sent.").waitFor();
    await finished(page, 3).waitFor();
    const { conversation } = await ask(address, TEXT_OF, { id: idOf(page) });
    const texts = conversation.messages.edges.map(({ node }) => node.text);
    check(texts.length === 6 && texts[2] === "What is my name?" && texts[4] === "And what is yours?", `the messages are ${texts}`);
    between.close();
    noted.length = 0;
  },

  async "the page notices at once that the network is silent, and takes an unsent message back"({ page, address, noted }) {
    const between = await network(address);
    await page.goto(between.address);
    await sendAndWait(page, "Hello, my name is Ada", 1);
    between.silence();
    await page.evaluate(() => {
      Object.defineProperty(navigator, "onLine", { value: false });
      dispatchEvent(new Event("offline"));
    });
    await page.getByText("You’re offline.").waitFor();
    between.cut();
    await send(page, "Hello again");
    await page.locator("li.user").getByRole("button", { name: "Edit", exact: true }).click();
    check(await message(page).inputValue() === "Hello again", "the text is gone");
    check(await page.locator("li.user").count() === 1, "the message is still shown");
    between.close();
    noted.length = 0;
  },

  async "Markdown is rendered, and code is highlighted and can be copied"({ page, address, context }) {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const answer = await startConversation(page, address, "/simulate markdown");
    await answer.getByRole("heading", { name: "Title", level: 1 }).waitFor();
    check(await answer.locator("table td").count() === 2, "no table");
    check(await answer.locator(".text li").count() === 2, "no list");
    await answer.locator(".hljs-keyword").first().waitFor();
    await answer.getByRole("button", { name: "Copy code" }).click();
    // Other journeys do not write to the clipboard.
    await page.waitForFunction(async () => (await navigator.clipboard.readText()).includes("SELECT 1"));
  },

  async "code opens beside the conversation, with its versions, and closing it returns the focus"({ page, address, picture }) {
    const first = await startConversation(page, address, `/simulate repeat\n${COUNTER("white")}\n\n\`\`\`haskell\nmain = putStrLn "Hello"\n\`\`\``);
    await first.locator("figure", { hasText: "haskell" }).locator(".hljs-string").waitFor();
    check(await first.getByRole("button", { name: "Open beside" }).count() === 1, "short code without a preview can be opened");
    await first.getByRole("button", { name: "Open beside" }).press("Enter");
    const panel = page.getByRole("dialog", { name: "Counter" });
    const counter = page.frameLocator("dialog.artifact iframe").getByRole("button");
    await counter.click();
    check(await counter.innerText() === "1", "its script did not run");
    check(await page.locator(".composer").isVisible(), "the conversation is covered");
    await audit(page, "an open panel");
    await sendAndWait(page, `/simulate repeat\n${COUNTER("silver")}`, 2);
    await panel.getByText("2 / 2").waitFor();
    await panel.getByRole("button", { name: "Code", exact: true }).click();
    await panel.getByText("silver").waitFor();
    await panel.getByRole("button", { name: "Previous version" }).click();
    await panel.getByText("white").waitFor();
    await picture("artifact");
    const downloading = page.waitForEvent("download");
    await panel.getByRole("button", { name: "Download" }).click();
    check((await downloading).suggestedFilename() === "counter.html", "the file has another name");
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement.title === "Open beside the conversation");
    await page.setViewportSize({ width: 390, height: 800 });
    await page.keyboard.press("Enter");
    const { width, height } = await panel.boundingBox();
    check(width === 390 && height === 800, `the sheet has ${width} by ${height} pixels`);
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.keyboard.press("Enter");
    await panel.waitFor();
    await message(page).press("Escape");
    await panel.waitFor({ state: "detached" });
  },

  async "a preview reaches neither the network nor the page"({ page, address, context, noted }) {
    const requests = [];
    const tcp = net.createServer((socket) => socket.on("error", () => undefined).on("data", (data) => requests.push(String(data).split("\r\n")[0])));
    const udp = dgram.createSocket("udp4").on("message", () => requests.push("a datagram"));
    await new Promise((resolve) => tcp.listen(0, "127.0.0.1", resolve));
    await new Promise((resolve) => udp.bind(0, "127.0.0.1", resolve));
    await page.goto(address);
    await message(page).waitFor();
    await page.evaluate(() => localStorage.setItem("secret", "1"));
    const outcomes = Object.fromEntries(await attempt(page, `http://127.0.0.1:${tcp.address().port}/`, udp.address().port));
    check(requests.length === 0, `it sent ${requests.join(", ")}`);
    check([outcomes.cookie, outcomes.storage, outcomes.page].every((name) => name === "SecurityError"), `it read ${JSON.stringify(outcomes)}`);
    check(context.pages().length === 1 && page.url() === `${address}/`, `it opened ${context.pages().map((one) => one.url())}`);
    tcp.close();
    udp.close();
    noted.length = 0;
  },

  async "diagrams are drawn in the colours of the theme, and what is not a diagram is shown as code"({ page, address, picture }) {
    const answer = await startConversation(page, address, "/simulate repeat\n\`\`\`mermaid\nflowchart LR\naccTitle: Two steps\nA[First] --> B[Second]\n\`\`\`\n\n\`\`\`mermaid\nno diagram\n\`\`\`\n\n[docs](https://example.com/docs)");
    const drawn = answer.getByRole("img", { name: "Two steps" });
    await drawn.waitFor();
    const light = await drawn.getAttribute("src");
    check((await drawn.boundingBox()).width > 100, "it is too small");
    check(await answer.getByText("no diagram").isVisible(), "the other block is not shown");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForFunction((before) => document.querySelector(".diagram img").src !== before, light);
    await picture("diagram");
    await audit(page, "a diagram");
    const downloading = page.waitForEvent("download");
    await answer.getByRole("button", { name: "Download SVG" }).click();
    check(readFileSync(await (await downloading).path(), "utf8").startsWith("<svg"), "it is not a drawing");
    await answer.getByRole("button", { name: "Enlarge Two steps" }).click();
    await page.getByRole("dialog", { name: "Two steps" }).getByRole("button", { name: "Close" }).click();
    await page.emulateMedia({ media: "print" });
    check(!(await page.locator(".composer, .side").evaluateAll((found) => found.some((element) => element.checkVisibility()))), "controls are printed");
    check((await answer.getByText("docs").evaluate((link) => getComputedStyle(link, "::after").content)).includes("https://example.com/docs"), "the address of a link is not printed");
  },

  async "thinking is collapsed until it is opened"({ page, address }) {
    const answer = await startConversation(page, address, "/simulate thinking");
    const thought = answer.locator("details.thinking");
    check(!(await thought.locator("p").isVisible()), "it is open");
    await thought.locator("summary").click();
    check((await thought.locator("p").innerText()).length > 5, "nothing in it");
  },

  async "a tool call can be approved, also after a refresh"({ page, address }) {
    await page.goto(address);
    await send(page, '/simulate call pay {"amount": 7}');
    await page.getByRole("button", { name: "Allow" }).waitFor();
    await page.reload();
    await page.getByRole("button", { name: "Allow" }).click();
    await finished(page, 1).waitFor();
    const call = finished(page, 1).locator("details.call");
    await call.locator("summary").click();
    check((await call.innerText()).includes('"amount": 7'), "no input");
    check((await call.innerText()).includes("Paid 7."), "no result");
  },

  async "a denied call returns an error to Claude"({ page, address }) {
    await page.goto(address);
    await send(page, '/simulate call pay {"amount": 8}');
    await page.getByRole("button", { name: "Deny" }).click();
    await finished(page, 1).waitFor();
    check(await finished(page, 1).locator('details.call[data-state="failed"]').count() === 1, "the call did not fail");
  },

  async "images can be attached by button, drop and paste, and are shown"({ page, address }) {
    await page.goto(address);
    const files = page.locator(".files");
    await page.locator('input[type="file"]').setInputFiles({ name: "picked.png", mimeType: "image/png", buffer: PNG });
    await files.getByText("picked.png").waitFor();
    for (const [kind, name] of [["drop", "dropped.png"], ["paste", "pasted.png"]]) {
      await page.evaluate(([kind, name, bytes]) => {
        const carried = new DataTransfer();
        carried.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/png" }));
        const made = kind === "drop"
          ? new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true })
          : new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true });
        document.getElementById("text").dispatchEvent(made);
      }, [kind, name, [...PNG]]);
      await files.getByText(name).waitFor();
    }
    await page.getByRole("button", { name: "Remove dropped.png" }).click();
    await sendAndWait(page, "What do you see?", 1);
    const shown = page.locator("img.attached");
    check(await shown.count() === 2, `${await shown.count()} images`);
    check(await widthOfAttached(page) === 10, "not shown");
  },

  async "a document can be attached, and a citation names the place in it and leads to it"({ page, address }) {
    await page.goto(address);
    const bitmap = Buffer.alloc(58);
    bitmap.write("BM", 0, "latin1");
    for (const [at, value] of [[2, 58], [10, 54], [14, 40], [18, 1], [22, 1]]) bitmap.writeInt32LE(value, at);
    bitmap.writeInt16LE(1, 26);
    bitmap.writeInt16LE(24, 28);
    await page.locator('input[type="file"]').setInputFiles([
      { name: "tea.md", mimeType: "text/markdown", buffer: Buffer.from("# Tea\nBoil the water.") },
      { name: "dot.bmp", mimeType: "image/bmp", buffer: bitmap },
    ]);
    // The message waits for the uploads.
    await sendAndWait(page, "What does it say?", 1);
    check(await widthOfAttached(page) === 1, "not shown");
    await page.getByText("1 source").click();
    await page.getByRole("button", { name: "tea.md, “Tea”, lines 1-2" }).click();
    await page.waitForFunction(() => document.activeElement.textContent.includes("tea.md"));
  },

  async "a message is sent once its upload has ended, unless the upload fails or Escape is pressed meanwhile"({ page, address, noted }) {
    const waiting = page.getByText("Your message will be sent when everything is ready.");
    let hold;
    await page.route("**/attachments", (route) => hold(route));
    await page.goto(address);
    // Returns the request of the upload, which is sent only once the file has been read.
    const uploads = async (name) => {
      const upload = new Promise((resolve) => hold = resolve);
      await page.locator('input[type="file"]').setInputFiles({ name, mimeType: "image/png", buffer: PNG });
      await message(page).press("Enter");
      await waiting.waitFor();
      check(await page.locator("li.user").count() === 0, "it was sent without its file");
      return upload;
    };
    await message(page).fill("What do you see?");
    const lost = await uploads("lost.png");
    await lost.fulfill({ status: 503, json: { error: { message: "The disk is full." } } });
    await page.getByRole("alert").filter({ hasText: "The disk is full." }).waitFor();
    check(await waiting.count() === 0, "it is still to be sent");
    const kept = await uploads("kept.png");
    await message(page).press("Escape");
    await waiting.waitFor({ state: "detached" });
    await kept.continue();
    await page.getByRole("button", { name: "Remove kept.png" }).waitFor();
    check(await message(page).inputValue() === "What do you see?", "the text is gone");
    const dot = await uploads("dot.png");
    await dot.continue();
    await finished(page, 1).waitFor();
    check(await page.locator("li.user").count() === 1 && await page.locator("li.user img.attached").count() === 2, "it was not sent once with its files");
    check(await message(page).inputValue() === "" && await page.locator(".files li").count() === 0, "the draft stays");
    check(noted.splice(0).every((line) => line.includes("503")), "another problem");
  },

  async "a file of an unknown type is refused with a message"({ page, address, noted }) {
    await page.goto(address);
    await page.locator('input[type="file"]').setInputFiles({ name: "notes.png", mimeType: "image/png", buffer: Buffer.from([0, 1, 2, 3]) });
    await page.locator(".composer [role=alert]").filter({ hasText: "notes.png" }).waitFor();
    check(noted.splice(0).every((line) => line.includes("the server responded with a status of")), "another problem");
  },

  async "editing a message creates a branch, and the arrows select the old one"({ page, address }) {
    await startConversation(page, address);
    await page.getByRole("button", { name: "Edit message" }).click();
    await page.getByLabel("Edit message").fill("Hello, my name is Grace");
    await page.reload();
    await page.getByLabel("Edit message").and(page.locator("textarea")).waitFor();
    check(await page.getByLabel("Edit message").inputValue() === "Hello, my name is Grace", "the text of the edit is gone");
    await page.getByLabel("Edit message").press("Enter");
    await finished(page, 1).getByText("Grace").waitFor();
    await page.getByText("2 / 2").waitFor();
    await page.getByRole("button", { name: "Previous version" }).click();
    await finished(page, 1).getByText("Ada").waitFor();
    await page.reload();
    await finished(page, 1).getByText("Ada").waitFor();
    await page.getByText("1 / 2").waitFor();
  },

  async "after an edit the old text is not shown"({ page, address }) {
    await startConversation(page, address, "Hello, my name is Ada");
    await page.getByRole("button", { name: "Edit message" }).click();
    await page.getByLabel("Edit message").fill("Hello, my name is Grace");
    await page.keyboard.press("Enter");
    await finished(page, 1).getByText("Grace").waitFor();
    await page.getByText("2 / 2").waitFor();
    const said = await page.locator('li[data-role="user"] .said').allInnerTexts();
    check(said.join() === "Hello, my name is Grace", `the page shows: ${said}`);
  },

  async "while an answer grows, the other messages are not rendered again"({ page, address }) {
    await page.addInitScript(countRenders);
    const id = await importConversation(address, 200, 199, "The **capybara** swims.\n\n```js\nswim()\n```");
    await page.goto(`${address}?c=${id}`);
    await answers(page).nth(19).waitFor();
    await send(page, "/simulate long 2000");
    const growing = page.locator('li[data-role="assistant"][aria-busy="true"]');
    await growing.getByText("word5").waitFor();
    // The page reads the conversation again after the answer has begun. One of these spans is without that.
    let others = ["none was counted"];
    for (let last = 25; others.length > 0 && last < 300; last += 20) {
      await page.evaluate(() => { window.renders = { growing: 0, others: [] }; });
      await growing.getByText(`word${last} `).waitFor();
      const renders = await page.evaluate(() => window.renders);
      // On a busy machine, the word can be older than the count.
      if (renders.growing > 0) others = renders.others;
    }
    check(others.length === 0, `${others.length} parts of other messages were rendered again: ${[...new Set(others)]}`);
    await page.getByRole("button", { name: "Stop" }).click();
  },

  async "the wheel scrolls the conversation and not the page"({ page, address }) {
    await importConversation(address, 30, 5, "The capybara swims.");
    await page.goto(address);
    await message(page).waitFor();
    await openSearchResult(page, "capybara");
    await page.locator("li[data-target=true]").waitFor();
    for (const place of ["#text", ".side .lists", ".side footer", ".scroller"]) {
      await page.locator(place).hover();
      for (let turn = 0; turn < 8; turn += 1) await page.mouse.wheel(0, 1200);
    }
    const { top, taller } = await page.evaluate(() => {
      const { scrollTop, scrollHeight } = document.scrollingElement;
      return { top: scrollTop, taller: scrollHeight - innerHeight };
    });
    check(top === 0 && taller <= 0, `the page scrolled by ${top}, and is ${taller} pixels taller than the window`);
    check(await message(page).isVisible(), "the message box is out of sight");
  },

  async "a draft survives a refresh, and each conversation has its own"({ page, address }) {
    await startConversation(page, address);
    await message(page).fill("Half a thought");
    await page.locator('input[type="file"]').setInputFiles({ name: "kept.png", mimeType: "image/png", buffer: PNG });
    await page.locator(".files").getByText("kept.png").waitFor();
    await page.reload();
    await finished(page, 1).waitFor();
    check(await message(page).inputValue() === "Half a thought", "the draft is gone");
    check(await page.locator(".files").getByText("kept.png").isVisible(), "its attachment is gone");
    await page.getByRole("link", { name: "New conversation" }).first().click();
    await page.getByRole("heading", { name: "How can I help?" }).waitFor();
    check(await message(page).inputValue() === "", "another conversation has the draft");
    await page.goBack();
    await finished(page, 1).waitFor();
    await message(page).press("Enter");
    await finished(page, 2).waitFor();
    await page.reload();
    await finished(page, 2).waitFor();
    check(await message(page).inputValue() === "", "a sent draft came back");
  },

  async "a message is sent once if the page is refreshed before or during the response"({ page, address }) {
    const texts = [1, 2].map((number) => `Only once ${number} ${Math.random()}`);
    await page.goto(address);
    let stored = false;
    const reached = new Promise((resolve) => {
      page.route("**/graphql", async (route) => {
        if (stored || !route.request().postData()?.includes("sendMessage")) return route.continue();
        stored = true;
        await route.fetch();
        resolve();
      });
    });
    await send(page, texts[0]);
    await reached;
    await page.reload();
    await finished(page, 1).waitFor();
    await page.unrouteAll({ behavior: "ignoreErrors" });
    // A refresh can begin before the browser knows the new address. It then opens the old one.
    await page.goto(address);
    await page.evaluate(() => {
      const { pushState } = history;
      history.pushState = (...state) => {
        pushState.apply(history, state);
        window.fetch = () => new Promise(() => undefined);
        location.replace("/");
      };
    });
    await send(page, texts[1]);
    await finished(page, 1).waitFor();
    for (const text of texts) {
      const query = "query ($words: String!) { searchMessages(query: $words) { edges { node { role } } } }";
      const { searchMessages } = await ask(address, query, { words: text });
      const sent = searchMessages.edges.filter(({ node }) => node.role === "USER").length;
      check(sent === 1, `the message was sent ${sent} times`);
    }
  },

  async "an attachment can be sent without text"({ page, address }) {
    await page.goto(address);
    await page.locator('input[type="file"]').setInputFiles({ name: "alone.png", mimeType: "image/png", buffer: PNG });
    await page.locator(".files").getByText("alone.png").waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await finished(page, 1).waitFor();
    check(await page.locator("img.attached").count() === 1, "the image is not shown");
    await page.getByRole("button", { name: "Edit message" }).click();
    await page.getByRole("button", { name: "Send" }).first().click();
    await page.getByText("2 / 2").waitFor();
  },

  async "a search result scrolls to its message, however old it is"({ page, address }) {
    await importConversation(address, 130, 7, "The quokka is a small wallaby.");
    await page.goto(address);
    await message(page).waitFor();
    await openSearchResult(page, "quokka");
    const hit = page.locator("li[data-target=true]").filter({ hasText: "quokka" });
    await hit.waitFor();
    await page.waitForFunction((item) => {
      const { top } = item.getBoundingClientRect();
      return top >= 0 && top < innerHeight;
    }, await hit.elementHandle());
    check(!page.url().includes("m="), "the address still names the message");
    await page.getByRole("button", { name: "Jump to latest" }).click();
    await page.locator("#search").fill("quagga-and-quokka");
    await page.getByText("No results.").waitFor();
    await openSearchResult(page, "quokka");
    await page.waitForFunction(() => {
      const { top } = document.querySelector("li[data-target=true]").getBoundingClientRect();
      return top >= 0 && top < innerHeight;
    });
  },

  async "a search result on another branch selects that branch"({ page, address }) {
    await startConversation(page, address, "Tell me of the axolotl");
    await page.getByRole("button", { name: "Edit message" }).click();
    await page.getByLabel("Edit message").fill("Tell me of newts");
    await page.keyboard.press("Enter");
    await finished(page, 1).waitFor();
    await page.getByText("2 / 2").waitFor();
    await openSearchResult(page, "axolotl");
    await page.getByText("1 / 2").waitFor();
    await page.locator("li[data-target=true]").filter({ hasText: "axolotl" }).first().waitFor();
  },

  async "an answer can be rated with a comment, regenerated, and continued in a new conversation"({ page, address }) {
    await startConversation(page, address);
    const button = (name) => finished(page, 1).getByRole("button", { name, exact: true });
    const pressed = (name) => finished(page, 1).getByRole("button", { name, exact: true, pressed: true });
    await button("Good answer").click();
    await pressed("Good answer").waitFor();
    await button("Bad answer").click();
    await page.getByLabel("Comment (optional)").fill("It is too long.");
    await audit(page, "comment");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.reload();
    await pressed("Bad answer").waitFor();
    check(await pressed("Good answer").count() === 0, "both buttons are pressed");
    await audit(page, "rated answer");
    const { conversation } = await ask(address, RATINGS_OF, { id: idOf(page) });
    check(conversation.messages.edges[1].node.rating.comment === "It is too long.", "the comment is not stored");
    await button("Edit comment").press("Enter");
    check(await page.getByLabel("Comment (optional)").inputValue() === "It is too long.", "the comment is not shown");
    await page.getByLabel("Comment (optional)").fill("It is too short.");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await button("Good answer").click();
    await pressed("Good answer").waitFor();
    await page.reload();
    await button("Edit comment").click();
    check(await page.getByLabel("Comment (optional)").inputValue() === "It is too short.", "the changed comment is gone");
    await page.getByLabel("Comment (optional)").fill("");
    await page.getByRole("button", { name: "Save" }).click();
    await button("Add comment").waitFor();
    await button("Good answer").click();
    await button("Good answer").and(page.locator("[aria-pressed=false]")).waitFor();
    await button("Bad answer").click();
    await page.getByRole("button", { name: "Skip" }).click();
    await button("Bad answer").click();
    await button("Bad answer").and(page.locator("[aria-pressed=false]")).waitFor();
    await page.getByRole("button", { name: "Regenerate" }).click();
    await page.getByText("2 / 2").waitFor();
    await finished(page, 1).waitFor();
    const before = page.url();
    await page.getByRole("button", { name: "Continue in a new conversation" }).click();
    await page.waitForFunction((before) => location.href !== before, before);
    await finished(page, 1).waitFor();
  },

  async "a message sent while Claude answers is queued"({ page, address }) {
    await page.goto(address);
    await send(page, "/simulate long 20000");
    await answers(page).getByText("word10").waitFor();
    await send(page, "/simulate long 3");
    await page.getByText("Queued").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await waitForText(page, 2, numberedWords(3));
  },

  async "a message is shown as queued also if the conversation was being read when it was sent"({ page, address }) {
    await page.goto(address);
    await send(page, "/simulate long 20000");
    await answers(page).getByText("word10").waitFor();
    const sent = gate();
    const reading = new Promise((resolve) => {
      page.route("**/graphql", async (route) => {
        const { query } = route.request().postDataJSON();
        if (!query.includes("query Conversation(")) return route.fallback();
        const response = await route.fetch();
        resolve();
        await sent.opened;
        return route.fulfill({ response });
      });
    });
    await ask(address, "mutation ($id: ID!) { updateConversation(input: {id: $id, title: \"Words\"}) { __typename } }", { id: idOf(page) });
    await reading;
    const stored = page.waitForResponse((response) => response.request().postData()?.includes("mutation Send("));
    await send(page, "/simulate long 3");
    await stored;
    sent.open();
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await page.getByText("Queued").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await waitForText(page, 2, numberedWords(3));
  },

  async "a failed answer says in plain words what happened, and when it can be retried"({ page, address, picture }) {
    await page.goto(address);
    await sendAndWait(page, "/simulate spend-limit", 1);
    await finished(page, 1).getByRole("alert").filter({ hasText: "Ask the administrator." }).waitFor();
    const retry = page.getByRole("button", { name: /^Retry/ });
    check(await retry.count() === 0, "it offers to retry what cannot succeed");
    await page.clock.install();
    await sendAndWait(page, "/simulate rate-limit 90", 2);
    await finished(page, 2).getByRole("alert").filter({ hasText: "Claude is receiving too many requests" }).waitFor();
    check(/^Retry in 1 min( \d+ sec)?$/.test(await retry.innerText()), `the button says ${await retry.innerText()}`);
    check(await retry.isDisabled(), "it can be retried too early");
    await picture("failed");
    await page.clock.fastForward(60_000);
    await page.getByText(/^Retry in [23]?\d sec$/).waitFor();
    await page.clock.fastForward(31_000);
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    await finished(page, 2).getByText("2 / 2").waitFor();
  },

  async "a refused message stays with the reason, and can be retried or edited"({ page, address }) {
    await page.goto(address);
    await page.clock.install();
    const refuse = { __typename: "RateLimited", message: "Too many messages.", retryAfterSeconds: 50 };
    await page.route("**/graphql", (route) => (route.request().postData()?.includes("sendMessage")
      ? route.fulfill({ json: { data: { sendMessage: refuse } } }) : route.continue()));
    await send(page, "Hello, my name is Ada");
    await page.getByRole("alert").filter({ hasText: "You’ve reached a limit of this server." }).waitFor();
    check(await page.getByRole("button", { name: /^Retry in \d+ sec$/ }).isDisabled(), "it can be retried too early");
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await page.clock.fastForward(51_000);
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    await finished(page, 1).getByText("Ada").waitFor();
    check(await page.locator("li.user").count() === 1, "the message is shown twice");
  },

  async "formulas are rendered while the answer is written, and code and prices are not"({ page, address, picture }) {
    await page.goto(address);
    await page.waitForLoadState("networkidle");
    const loaded = [];
    page.on("response", (response) => loaded.push(response.url()));
    await message(page).fill("/simulate math");
    // Each state of the answer that was visible for a frame.
    await page.evaluate(() => {
      window.seen = new Set();
      const look = () => {
        const texts = [...document.querySelectorAll(".assistant p:not(.raw)")].map((paragraph) => {
          const copy = paragraph.cloneNode(true);
          for (const element of copy.querySelectorAll(".katex-mathml, .katex-html, code")) element.remove();
          return copy.textContent;
        });
        window.seen.add(texts.join());
        requestAnimationFrame(look);
      };
      look();
    });
    await message(page).press("Enter");
    const answer = finished(page, 1);
    await answer.locator(".katex").nth(4).waitFor();
    await picture("formulas");
    check(await answer.locator(".katex-display").count() === 2, "the formulas with their own line");
    check(await answer.locator("td .katex").count() === 2, "the formulas of the table");
    check(await answer.getByText("It costs $5 or $10").count() === 1, "a price was taken for a formula");
    check((await answer.locator("pre").innerText()).includes("\\[ E = mc^2 \\]"), "the code has changed");
    check(await answer.getByText("\\(\\unknown{x}\\)").count() === 1, "an unknown command is not shown");
    check((await answer.locator(".katex-base").first().boundingBox()).height > 10, "the styles are missing");
    await page.waitForFunction(() => document.fonts.check("16px KaTeX_Math"));
    check(loaded.some((url) => /KaTeX_Math.*woff2/.test(url)), "the fonts were not loaded");
    const seen = await page.evaluate(() => [...window.seen]);
    check(!seen.some((text) => /ax\^2|\\frac|\\sum/.test(text)), `sources of formulas were visible: ${seen.find((text) => /ax\^2|\\frac|\\sum/.test(text))}`);
    await audit(page, "formulas");
  },

  async "the first view is at most 150 KiB in every language, and formulas and code load nothing before they are needed"({ page, address }) {
    const finishing = [];
    page.on("requestfinished", (request) => {
      if (!request.url().endsWith("graphql")) finishing.push(request.sizes().then(({ responseBodySize }) => [request.url(), responseBodySize]));
    });
    const renderer = page.waitForEvent("requestfinished", (request) => request.url().includes("Markdown"));
    await page.goto(address);
    await page.getByRole("heading", { name: "How can I help?" }).waitFor();
    await renderer;
    await page.waitForLoadState("networkidle");
    const sizes = await Promise.all(finishing);
    const total = sizes.reduce((sum, [, size]) => sum + size, 0);
    check(!sizes.some(([url]) => /katex|common/i.test(url)), `it loads ${sizes.map(([url]) => url)}`);
    check(total < 150 * 1024, `it loads ${total} bytes: ${sizes.join(" ")}`);
    // Every other language loads its texts besides.
    await page.locator("nav footer button").first().click();
    const languages = page.getByRole("dialog").locator("select").filter({ has: page.locator('option[lang="ar"]') });
    await languages.waitFor();
    const tags = await languages.locator("option[lang]").evaluateAll((options) => options.map(({ lang }) => lang));
    check(tags.length === 8, `it has the languages ${tags}`);
    for (const tag of tags.filter((tag) => tag !== "en")) {
      const loaded = page.waitForEvent("requestfinished", (request) => /\/[a-z]{2}-[^/]*\.js$/.test(request.url()));
      await languages.selectOption(tag.slice(0, 2));
      const { responseBodySize } = await (await loaded).sizes();
      check(responseBodySize > 1000 && total + responseBodySize < 150 * 1024, `in ${tag} it loads ${total + responseBodySize} bytes`);
    }
  },

  async "a declined message shows why, and the next answer does not"({ page, address }) {
    await page.goto(address);
    await send(page, "/simulate refusal 0");
    await finished(page, 1).getByText("Claude declined to answer (general harms). The request was declined.").waitFor();
    await sendAndWait(page, "2 + 2?", 2);
    // The page reads what was left out after the end of the answer.
    await finished(page, 2).getByText("declined by Claude").waitFor();
    check((await finished(page, 2).getByText("Claude declined").count()) === 0, "it was declined too");
  },

  async "a link shares a conversation without a sign-in, until it is revoked"({ page, address, open, picture, noted }) {
    const copied = await recordCopies(page);
    await startConversation(page, address, "/simulate markdown");
    await page.getByRole("button", { name: "Share" }).click();
    await page.getByLabel("Link expires").selectOption("after a day");
    await page.getByRole("button", { name: "Create link" }).press("Enter");
    await page.getByRole("button", { name: "Copy link" }).click();
    await page.getByRole("button", { name: "Revoke" }).waitFor();
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await picture(`share-${scheme}`);
      await audit(page, `share, ${scheme}`);
    }
    await page.setViewportSize({ width: 360, height: 740 });
    await picture("share-narrow");
    check(await page.getByRole("dialog").evaluate((dialog) => dialog.scrollWidth <= dialog.clientWidth), "it scrolls sideways");
    const reader = await open(await copied("http"));
    await reader.getByRole("heading", { name: "Title", exact: true }).waitFor();
    check(await reader.locator("table td").count() === 2, "its Markdown is not rendered");
    for (const scheme of ["light", "dark"]) {
      await reader.emulateMedia({ colorScheme: scheme });
      await audit(reader, `shared conversation, ${scheme}`);
      await picture(`shared-${scheme}`, reader);
    }
    await page.getByRole("button", { name: "Revoke" }).press("Enter");
    await page.getByText("The link was revoked").waitFor();
    await page.getByRole("button", { name: "Revoke" }).waitFor({ state: "detached" });
    await reader.reload();
    await reader.getByText("This link does not work").waitFor();
    noted.length = 0;
  },

  async "a shared conversation shows its formulas and diagrams, and their sources without scripts"({ address, context, open, picture, noted }) {
    const text = "The root of \\(a_1 * b_1\\):\n\n$$\n\\frac{1}{2}\n= x\n$$\n\nIt costs $5 or $10.\n\n```mermaid\ngraph LR; A[Tea] --> B[Cup]\n```\n\n```mermaid\nno diagram\n```";
    const id = await importConversation(address, 2, 1, text);
    const { shareConversation: shared } = await ask(address, "mutation ($id: ID!) { shareConversation(id: $id) { ... on ShareConversationPayload { url } } }", { id });
    const reader = await open(`${address}${shared.url}`);
    await reader.getByRole("img", { name: "Diagram" }).waitFor();
    await reader.locator(".formula.display .katex").waitFor();
    check(await reader.locator(".katex").count() === 2, "the formulas");
    check(await reader.getByText("It costs $5 or $10.").isVisible(), "a price was taken for a formula");
    check(await reader.locator(".diagram img").evaluate(async (image) => { await image.decode(); return image.naturalWidth > 50; }), "the diagram is empty");
    check(await reader.locator("pre").filter({ hasText: "no diagram" }).isVisible(), "what is not a diagram is hidden");
    check(await reader.evaluate(() => document.fonts.check("16px KaTeX_Math") && document.querySelector(".katex-base").offsetHeight > 10), "the styles of formulas are missing");
    await audit(reader, "shared formulas");
    await picture("shared-formulas", reader);
    const first = await reader.locator(".diagram img").getAttribute("src");
    await reader.emulateMedia({ colorScheme: "dark" });
    await reader.waitForFunction((src) => document.querySelector(".diagram img").src !== src, first);
    await picture("shared-formulas-dark", reader);
    const plain = await context.browser().newContext({ javaScriptEnabled: false });
    const page = watch(await plain.newPage(), address, noted);
    await page.goto(`${address}${shared.url}`);
    for (const source of ["\\(a_1 * b_1\\)", "\\frac{1}{2}", "graph LR;"]) check(await page.getByText(source).isVisible(), `${source} is hidden`);
    await plain.close();
  },

  async "conversations can be renamed, pinned, archived, searched and deleted"({ page, address }) {
    await startConversation(page, address, "A word about zeppelins");
    await entry(page, "zeppelins").waitFor();
    await rename(page, "zeppelins", "Airships of old");
    await chooseFromMenu(page, "Airships", "Pin");
    await page.getByRole("heading", { name: "Pinned" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("zeppelins");
    await page.locator("mark").filter({ hasText: "zeppelins" }).first().waitFor();
    await page.keyboard.press("Escape");
    await chooseFromMenu(page, "Airships", "Archive");
    await entry(page, "Airships").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Archived" }).click();
    // The notice stays as long as time stands still.
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 10_000);
    await chooseFromMenu(page, "Airships", "Delete");
    const dialog = page.getByRole("dialog");
    check(parseFloat(await dialog.getByRole("heading").evaluate((title) => getComputedStyle(title).fontSize)) > 16, "the title is tiny");
    await dialog.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "How can I help?" }).waitFor();
    await entry(page, "Airships").waitFor({ state: "detached" });
    const [undo, box] = [await page.getByRole("button", { name: "Undo" }).boundingBox(), await page.locator("form.composer").boundingBox()];
    check(undo.y + undo.height <= box.y, "the notice covers the message box");
    await page.getByRole("button", { name: "Undo" }).click();
    await entry(page, "Airships").waitFor();
    await finished(page, 1).waitFor();
    const id = idOf(page);
    await chooseFromMenu(page, "Airships", "Delete");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await entry(page, "Airships").waitFor({ state: "detached" });
    check((await ask(address, TEXT_OF, { id })).conversation, "it was deleted before it could be undone");
    // Leaving the page does not undo it.
    await page.goto("about:blank");
    for (let left = 800; (await ask(address, TEXT_OF, { id })).conversation; left -= 1) {
      check(left > 0, "it was not deleted");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },

  async "conversations are listed by date, loaded while the list scrolls, and filtered by tags"({ page, address, picture, open }) {
    await importDays(address, 75);
    await page.goto(address);
    for (const name of ["Today", "Yesterday", "Previous 7 days"]) await page.locator("nav").getByRole("heading", { name }).waitFor();
    check(await entry(page, "Day 74").count() === 0, "all conversations were loaded at once");
    const titles = await page.locator("nav li.entry").filter({ hasText: /^Day/ }).allInnerTexts();
    check(titles.map((title) => Number(title.slice(4))).every((day, place, all) => place === 0 || day > all[place - 1]), `the order is ${titles}`);
    await page.locator(".side .lists").evaluate(async (lists) => {
      while (![...lists.querySelectorAll("li.entry")].some((item) => item.innerText.startsWith("Day 74"))) {
        lists.scrollTop = lists.scrollHeight;
        await new Promise(requestAnimationFrame);
      }
      lists.scrollTop = 0;
    });
    await chooseFromMenu(page, "Day 3", "Tags");
    const dialog = page.getByRole("dialog");
    for (const tag of ["travel", "tea & cake"]) {
      await dialog.getByLabel("New tag").fill(tag);
      await page.keyboard.press("Enter");
      await dialog.getByRole("button", { name: `Remove the tag ${tag}` }).waitFor();
    }
    await audit(page, "tags");
    await picture("tags");
    await page.keyboard.press("Escape");
    const second = await open(address);
    for (const one of [page, second]) {
      await one.getByRole("button", { name: "tea & cake", pressed: false }).click();
      await entry(one, "Day 4").waitFor({ state: "detached" });
      await entry(one, "Day 3").waitFor();
      check(await one.locator("nav li.entry").count() === 1, "the list is not filtered");
    }
    await picture("tagged");
    await audit(page, "filtered list");
    await chooseFromMenu(page, "Day 3", "Tags");
    await page.getByRole("dialog").getByRole("button", { name: "Remove the tag tea & cake" }).click();
    await second.getByText("No conversations with this tag.").waitFor();
    await second.getByRole("button", { name: "tea & cake" }).click();
    await second.getByRole("button", { name: "tea & cake" }).waitFor({ state: "detached" });
  },

  async "the settings of a conversation are stored"({ page, address }) {
    await startConversation(page, address);
    await page.getByRole("button", { name: "Conversation settings" }).click();
    await page.getByLabel("System prompt").fill("Be brief.");
    await page.getByRole("checkbox", { name: "pay" }).uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.reload();
    await page.getByRole("button", { name: "Conversation settings" }).click();
    check(await page.getByLabel("System prompt").inputValue() === "Be brief.", "the prompt is gone");
    check(!(await page.getByRole("checkbox", { name: "pay" }).isChecked()), "the choice is gone");
  },

  async "a new conversation keeps the chosen model after a refresh"({ page, address }) {
    const model = page.getByRole("combobox", { name: "Model" });
    await page.goto(address);
    await model.selectOption("Claude Haiku 5.5 (simulated)");
    await page.reload();
    await message(page).waitFor();
    check(await model.inputValue() === "claude-haiku-5-5", "the choice is gone");
    await sendAndWait(page, "Hello, my name is Ada", 1);
    await page.locator("header.head").getByText("Haiku").waitFor();
  },

  async "a temporary conversation is not listed"({ page, address }) {
    await page.goto(address);
    await page.getByLabel("Temporary").check();
    await sendAndWait(page, "Remember quagga and nothing else", 1);
    await page.getByText("Temporary").first().waitFor();
    const { conversations } = await ask(address, "{ conversations(first: 100) { edges { node { id } } } }");
    check(!conversations.edges.some(({ node }) => node.id === idOf(page)), "it is listed");
  },

  async "the page can be used by keyboard alone"({ page, address }) {
    await page.goto(address);
    await message(page).waitFor();
    await focusIs(page, "text");
    await page.keyboard.type("/simulate long 2000");
    await page.keyboard.press("Enter");
    await answers(page).getByText("word5").first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("Stopped.", { exact: true }).waitFor();
    await page.keyboard.press("ArrowUp");
    await page.getByLabel("Edit message").fill("/simulate long 4");
    await page.keyboard.press("Enter");
    await finished(page, 1).getByText("word4.").waitFor();
    await page.keyboard.press("Control+Shift+O");
    await page.getByRole("heading", { name: "How can I help?" }).waitFor();
    await page.goBack();
    await finished(page, 1).getByText("word4.").waitFor();
    await page.locator("body").press("Tab");
    await page.keyboard.press("Shift+Tab");
  },

  async "shortcuts open conversations, copy the last answer, fold the list and explain themselves, and can be turned off"({ page, address, picture }) {
    const copied = await recordCopies(page);
    await startConversation(page, address, "The first of two");
    const first = idOf(page);
    await page.keyboard.press("Control+Shift+O");
    await page.getByRole("heading", { name: "How can I help?" }).waitFor();
    await sendAndWait(page, "The second of two", 1);
    const second = idOf(page);
    await page.keyboard.press("Control+Shift+L");
    await copied("The second of two");
    // Other journeys change the order of the whole list.
    const change = "mutation ($id: ID!, $tag: String!) { updateConversation(input: {id: $id, metadata: {tags: [$tag]}}) { __typename } }";
    for (const id of [first, second]) await ask(address, change, { id, tag: second });
    await page.getByRole("button", { name: second, exact: true }).click();
    const listed = page.locator(".entries a").filter({ hasText: "of two" });
    await listed.nth(1).waitFor();
    const order = await page.locator(".entries a").evaluateAll((links) => links.map((link) => new URL(link.href).searchParams.get("c")));
    check([...order].sort().join() === [first, second].sort().join(), `the list has ${order}`);
    const keys = ["Alt+ArrowDown", "Alt+ArrowUp"];
    if (order[0] === first) keys.reverse();
    for (const [key, id] of [[keys[0], first], [keys[1], second]]) {
      await page.keyboard.press(key);
      await page.waitForFunction((id) => location.href.includes(id), id);
    }
    await page.keyboard.press("Control+b");
    await page.locator("#search").waitFor({ state: "hidden" });
    await page.reload();
    await finished(page, 1).waitFor();
    check(await page.locator("#search").isHidden(), "the list is shown again");
    await picture("folded");
    await audit(page, "folded list");
    await page.keyboard.press("Control+k");
    await focusIs(page, "search");
    await page.getByRole("button", { name: "Copy answer" }).focus();
    await page.keyboard.press("/");
    await focusIs(page, "text");
    check(await message(page).inputValue() === "", "the key was typed");
    await page.keyboard.press("Control+/");
    const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
    await dialog.getByText("Copy the last answer").waitFor();
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await picture(`keys-${scheme}`);
      await audit(page, `shortcuts, ${scheme}`);
    }
    await dialog.getByLabel("Use keyboard shortcuts").uncheck();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    const before = page.url();
    await page.keyboard.press("Control+Shift+O");
    await page.keyboard.press("Control+/");
    check(page.url() === before && await dialog.count() === 0, "shortcuts still work");
  },

  async "conversations are exported and imported on the page"({ page, address, picture }) {
    await importConversation(address, 1, 0, "A word about lemurs");
    await startConversation(page, address, "A word about marmots");
    await entry(page, "marmots").waitFor();
    const download = async (act) => {
      const downloading = page.waitForEvent("download");
      await act();
      const file = await downloading;
      return { name: file.suggestedFilename(), content: readFileSync(await file.path(), "utf8") };
    };
    const text = await download(() => chooseFromMenu(page, "marmots", "Export as Markdown"));
    check(text.name.endsWith(".md") && text.content.includes("A word about marmots"), `Markdown: ${text.name}`);
    const one = await download(() => chooseFromMenu(page, "marmots", "Export as JSON"));
    await page.locator("nav footer button").first().click();
    const all = await download(() => page.getByRole("button", { name: "Export everything" }).click());
    check(all.content.includes("marmots") && all.content.includes("lemurs"), "not everything was exported");
    await page.getByText("The export was downloaded.").waitFor();
    const pick = (name, content) => page.getByLabel("Import a file").setInputFiles({ name, mimeType: "application/jsonl", buffer: Buffer.from(content) });
    await pick("one.jsonl", one.content);
    await page.getByText("1 conversation was imported.").waitFor();
    await picture("data");
    await audit(page, "data");
    await page.keyboard.press("Escape");
    await page.locator("nav li.entry").filter({ hasText: "marmots" }).nth(1).waitFor();
  },

  async "a long answer that ends in a hidden tab is announced by a notification and in the title"({ page, address, context }) {
    await context.grantPermissions(["notifications"]);
    await page.addInitScript(() => {
      let hidden = false;
      Object.defineProperty(document, "hidden", { get: () => hidden });
      window.hide = (value) => {
        hidden = value;
        document.dispatchEvent(new Event("visibilitychange"));
      };
      window.shown = [];
      window.Notification = class {
        static permission = "default";
        static requestPermission = async () => (window.Notification.permission = "granted");
        constructor(title, { body }) { window.shown.push(`${title}: ${body}`); }
      };
    });
    await startConversation(page, address);
    check(await page.evaluate(() => Notification.permission) === "default", "it asked for permission without an action");
    await page.locator("nav footer button").first().click();
    await page.getByLabel("Notify me when a long answer ends").check();
    await page.waitForFunction(() => Notification.permission === "granted");
    await page.keyboard.press("Escape");
    // The address names the settings until they are closed, and a reload would open them again.
    await page.waitForURL((url) => !url.searchParams.has("settings"));
    await page.reload();
    await finished(page, 1).waitFor();
    await page.evaluate(() => { Notification.permission = "granted"; });
    await page.clock.install();
    await send(page, "/simulate long 2000");
    await answers(page).nth(1).getByText("word3").waitFor();
    await page.evaluate(() => window.hide(true));
    await page.clock.fastForward(6_000);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.waitForFunction(() => window.shown.length > 0);
    check((await page.evaluate(() => window.shown.join())).includes("Your answer is ready."), "another notification");
    await page.waitForFunction(() => document.title.startsWith("(1) "));
    await page.evaluate(() => window.hide(false));
    await page.waitForFunction(() => !document.title.startsWith("("));
    // A short answer is not announced.
    await page.clock.setFixedTime(Date.now());
    await send(page, "/simulate long 40");
    await page.evaluate(() => window.hide(true));
    await finished(page, 3).waitFor();
    check(await page.evaluate(() => window.shown.length) === 1, "a short answer was announced");
  },

  async "on a narrow screen the list is in a drawer, and nothing scrolls sideways"({ page, address, picture }) {
    await page.setViewportSize({ width: 360, height: 740 });
    await startConversation(page, address, "/simulate markdown");
    await picture("narrow");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    check(!wide, "it scrolls sideways");
    await page.getByRole("button", { name: "Conversations" }).click();
    await page.getByRole("link", { name: "New conversation" }).first().waitFor();
    await picture("drawer");
    await audit(page, "drawer");
    await page.locator("#search").press("Escape");
    await page.getByRole("link", { name: "New conversation" }).first().waitFor({ state: "hidden" });
  },

  async "on a phone with its keyboard up, half of the screen shows messages, and model and cost are visible"({ page, address, context, picture }) {
    await importConversation(address, 30, 5, "The numbat eats termites.");
    const phone = await context.browser().newContext({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, reducedMotion: "reduce" });
    const touched = await phone.newPage();
    await touched.goto(address);
    await touched.getByRole("heading", { name: "How can I help?" }).waitFor();
    check(await touched.evaluate(() => document.activeElement === document.body), "opening the page raises the keyboard");
    const model = touched.getByRole("combobox", { name: "Model" });
    const { full, shown } = await model.evaluate((select) => ({ full: select.scrollWidth, shown: select.clientWidth }));
    check(full <= shown, "the name of the model is cut off");
    await send(touched, "/simulate markdown");
    await finished(touched, 1).waitFor();
    await touched.locator("header.head").getByText("Claude Opus").waitFor();
    await picture("phone", touched);
    // Safari shrinks the visual viewport only; other browsers the window.
    await touched.evaluate(() => {
      Object.defineProperty(visualViewport, "height", { value: 420, configurable: true });
      visualViewport.dispatchEvent(new Event("resize"));
    });
    const share = async () => (await touched.locator(".scroller").boundingBox()).height / 420;
    check((await share()) > 0.5, `the messages have ${await share()} of the screen that Safari leaves`);
    await touched.evaluate(() => {
      delete visualViewport.height;
      visualViewport.dispatchEvent(new Event("resize"));
    });
    await touched.setViewportSize({ width: 390, height: 420 });
    check((await share()) > 0.5, `the messages have ${await share()} of the screen`);
    check(await touched.locator("header.head").getByText("Claude Opus").isVisible(), "the model is hidden");
    check(await touched.locator("header.head").getByText("$").isVisible(), "the cost is hidden");
    check(await message(touched).isVisible(), "the message box is hidden");
    await picture("phone-keyboard", touched);
    check(!(await touched.evaluate(() => document.documentElement.scrollWidth > innerWidth)), "it scrolls sideways");
    await phone.close();
  },

  async "the button that jumps to the latest message covers no notice, and the copy button of long code stays visible"({ page, address, picture }) {
    const code = `\`\`\`python\n${Array.from({ length: 80 }, (_, line) => `print(${line})`).join("\n")}\n\`\`\``;
    await importConversation(address, 8, 5, `The axle. ${"\n\n"}${code}`);
    await page.goto(address);
    await message(page).waitFor();
    await openSearchResult(page, "axle");
    await page.locator("li[data-target=true]").waitFor();
    await page.locator(".scroller").evaluate((scroller) => scroller.scrollBy(0, 600));
    const box = (locator) => locator.boundingBox();
    const copy = page.locator("li[data-target=true]").getByRole("button", { name: "Copy code" });
    check(await visibleIn(copy), "the copy button is out of sight");
    const [jump, notice] = [await box(page.getByRole("button", { name: "Jump to latest" })), await box(page.locator("#simulated"))];
    check(jump.y + jump.height <= notice.y, "the button covers the notice");
    await picture("jump");
  },

  async "accessibility audits find no violation, in the light and the dark theme"({ page, address, picture }) {
    await page.goto(address);
    await page.getByRole("heading", { name: "How can I help?" }).waitFor();
    await audit(page, "welcome");
    await sendAndWait(page, "/simulate markdown", 1);
    await sendAndWait(page, "/simulate thinking", 2);
    await sendAndWait(page, "/simulate web-search lighthouses", 3);
    await sendAndWait(page, "/simulate error 1 reject", 4);
    await send(page, '/simulate call pay {"amount": 7}');
    await page.getByRole("button", { name: "Allow" }).waitFor();
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await picture(scheme);
      await audit(page, `conversation, ${scheme}`);
      await page.getByRole("button", { name: "Conversation settings" }).click();
      await page.getByRole("dialog").getByLabel("System prompt").waitFor();
      await audit(page, `settings, ${scheme}`);
      await page.keyboard.press("Escape");
      await page.locator("nav footer button").first().click();
      await openSection(page, "Usage");
      await page.getByText("Total: ").waitFor();
      await page.getByText("Show as a table").click();
      await picture(`account-${scheme}`);
      await audit(page, `usage, ${scheme}`);
      await openSection(page, "Plan and limits");
      await page.getByText("This server sets no limits.").waitFor();
      await audit(page, `limits, ${scheme}`);
      await page.keyboard.press("Escape");
    }
    await page.getByRole("button", { name: "Deny" }).click();
    await finished(page, 5).waitFor();
  },

  async "the page speaks the browser's language, and another one once it is chosen"({ address, context, picture, noted }) {
    const arabic = await context.browser().newContext({ locale: "ar-EG", viewport: { width: 390, height: 844 }, reducedMotion: "reduce" });
    const page = watch(await arabic.newPage(), address, noted);
    await page.goto(address);
    await page.getByRole("heading", { name: "كيف يمكنني المساعدة؟" }).waitFor();
    check(await page.locator("html").evaluate(({ lang, dir }) => `${lang} ${dir}`) === "ar rtl", "the page is not Arabic");
    await page.getByRole("button", { name: "المحادثات" }).click();
    await page.waitForFunction(() => document.querySelector(".side").getBoundingClientRect().right === 390);
    await page.locator("nav footer button").first().click();
    await page.getByLabel("اللغة").waitFor();
    await audit(page, "Arabic");
    await picture("arabic settings", page);
    await page.getByLabel("اللغة").selectOption({ label: "Deutsch" });
    await page.getByRole("heading", { name: "Darstellung" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Wie kann ich helfen?" }).waitFor();
    check(await page.locator("html").evaluate(({ lang, dir }) => `${lang} ${dir}`) === "de ltr", "the page is not German");
    await arabic.close();
  },

  async "the plain page continues an answer after a refresh"({ page, address, picture }) {
    await page.goto(`${address}/plain`);
    await page.fill("#text", "/simulate long 60");
    await page.press("#text", "Enter");
    await page.getByText("word10").first().waitFor();
    await page.reload();
    await page.locator("li.assistant[aria-busy=false]").waitFor();
    check((await page.locator("li.assistant").innerText()).trim() === numberedWords(60), "not the whole text once");
    await picture("plain");
  },
};

export const ASSISTED = {
  async "a new conversation offers assistants with starters, and only what the chosen one lets users set"({ page, address, picture }) {
    const setting = (name) => page.getByRole("combobox", { name, exact: true });
    await page.goto(address);
    await page.getByRole("radio", { name: "Guide" }).and(page.locator(":checked")).waitFor();
    const models = await setting("Model").locator("option").allTextContents();
    check(models.length === 2, `it offers the models ${models}`);
    check(await setting("Effort").isVisible(), "no choice of the effort");
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await picture(`assistants-${scheme}`);
      await audit(page, `assistants, ${scheme}`);
    }
    await page.getByRole("radio", { name: "Guide" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.getByRole("button", { name: "What may I ask?" }).waitFor();
    await page.reload();
    await page.getByRole("radio", { name: "Strict" }).and(page.locator(":checked")).waitFor();
    await page.setViewportSize({ width: 360, height: 740 });
    await picture("assistants-narrow");
    check(!(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)), "it scrolls sideways");
    check(await setting("Model").or(setting("Effort")).or(setting("Thinking")).count() === 0, "it offers what is refused");
    await page.getByRole("button", { name: "What may I ask?" }).click();
    await finished(page, 1).waitFor();
    await page.locator("header.head").getByText("Strict").waitFor();
    await page.getByRole("button", { name: "Conversation settings" }).click();
    await page.getByRole("dialog").getByLabel("Title").waitFor();
    check(await page.getByRole("dialog").locator("label").count() === 1, "more than the title can be set");
    await page.keyboard.press("Escape");
    await page.goto(address);
    await page.getByRole("button", { name: "Hello, my name is Ada" }).click();
    await finished(page, 1).getByText("Ada").waitFor();
    await page.getByRole("button", { name: "Conversation settings" }).click();
    await page.getByLabel("Your own instructions").fill("Be brief.");
    check(await page.getByRole("checkbox").count() === 1, "it offers tools that the assistant does not have");
    await picture("assistant-settings");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await setting("Model").selectOption({ index: 1 });
    await page.locator("header.head").getByText("Haiku").waitFor();
    const settings = "query ($id: ID!) { conversation(id: $id) { assistant { id } clientInstructions model { id } } }";
    const { conversation } = await ask(address, settings, { id: idOf(page) });
    check(JSON.stringify(conversation) === '{"assistant":{"id":"guide"},"clientInstructions":"Be brief.","model":{"id":"claude-haiku-5-5"}}', JSON.stringify(conversation));
  },

  async "the assistant, model and effort of the next message can be changed between two messages"({ page, address, picture }) {
    const setting = (name) => page.getByRole("combobox", { name, exact: true });
    const settings = "query ($id: ID!) { conversation(id: $id) { assistant { id } options { effort maxTokens } messages(last: 1) { edges { node { generation { model { id } } } } } } }";
    await startConversation(page, address);
    const id = idOf(page);
    await ask(address, "mutation ($id: ID!) { updateConversation(input: {id: $id, options: {maxTokens: 5000}}) { __typename } }", { id });
    await page.reload();
    await finished(page, 1).waitFor();
    // The first choice reaches the server late.
    await page.route("**/graphql", async (route) => {
      if (route.request().postData()?.includes('"LOW"')) await new Promise((resolve) => setTimeout(resolve, 300));
      return route.fallback();
    });
    const lastStored = page.waitForResponse((response) => {
      const body = response.request().postData() ?? "";
      return body.includes("mutation Update") && body.includes("claude-haiku");
    });
    await setting("Effort").selectOption("Low effort");
    await setting("Effort").selectOption("High effort");
    await setting("Model").selectOption({ index: 1 });
    // Sent before the server has stored the choice.
    await sendAndWait(page, "Hello again", 2);
    await lastStored;
    const { conversation } = await ask(address, settings, { id });
    check(conversation.messages.edges[0].node.generation.model.id === "claude-haiku-5-5", "another model answered");
    check(conversation.options.maxTokens === 5000, "an option that the page does not show was lost");
    await page.reload();
    await finished(page, 2).waitFor();
    check(conversation.options.effort === "HIGH", "the first choice was stored last");
    check(await setting("Model").locator(":checked").innerText() === "Claude Haiku 5.5 (simulated)", "the model was not kept");
    await picture("picker");
    await audit(page, "picker");
    await setting("Assistant").selectOption("Strict");
    await page.locator("header.head").getByText("Strict").waitFor();
    check(await setting("Model").count() === 0, "it offers what the new assistant refuses");
    await sendAndWait(page, "/simulate markdown", 3);
    check((await ask(address, settings, { id })).conversation.assistant.id === "strict", "the assistant was not kept");
  },

  async "an answer shows the files that Claude made"({ page, address, picture }) {
    // The message is written before the page knows the assistants.
    const written = gate();
    await page.route("**/graphql", async (route) => {
      if (route.request().postData()?.includes("query Start")) await written.opened;
      return route.fallback();
    });
    await page.goto(`${address}/?a=strict`);
    await send(page, "/simulate file chart.png");
    written.open();
    await finished(page, 1).waitFor();
    await page.locator("img.attached[src^='blob:']").waitFor();
    check(await page.locator("img.attached").getAttribute("alt") === "chart.png, 1 kB", "the picture has no name");
    await sendAndWait(page, "/simulate file numbers.csv", 2);
    await picture("generated-files");
    await audit(page, "generated files");
    await page.getByRole("button", { name: "Enlarge chart.png" }).click();
    await page.getByRole("dialog", { name: "chart.png" }).getByRole("img", { name: "chart.png" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /^numbers.csv/ }).click();
    await page.getByRole("dialog", { name: "numbers.csv" }).locator("pre").waitFor();
    await picture("generated-file-opened");
    await page.keyboard.press("Escape");
    const downloading = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download numbers.csv" }).press("Enter");
    check((await downloading).suggestedFilename() === "numbers.csv", "the file has another name");
  },

  async "a user reads, changes and deletes what Claude remembers"({ page, address, picture }) {
    const remembered = async () => (await ask(address, "{ viewer { memories { edges { node { content } } } } }")).viewer.memories.edges;
    await startConversation(page, address, "/simulate remember I like tea");
    await page.locator("nav footer button").first().click();
    await openSection(page, "Memory");
    await page.locator("summary").getByText("i-like-tea.md").click();
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await picture(`memories-${scheme}`);
      await audit(page, `memories, ${scheme}`);
    }
    await page.getByLabel("Content of i-like-tea.md").fill("I like coffee");
    await page.getByRole("button", { name: "Save i-like-tea.md" }).click();
    await page.waitForFunction(() => !document.querySelector(".memories details[open]"));
    check((await remembered())[0].node.content === "I like coffee", "it was not saved");
    await page.locator("summary").getByText("i-like-tea.md").click();
    await page.getByRole("button", { name: "Delete i-like-tea.md" }).press("Enter");
    await page.getByText("Claude remembers nothing about you.").waitFor();
    check((await remembered()).length === 0, "it was not deleted");
  },
};

export const PASSWORD = {
  async "a user can register, sign out and sign in, but not with a wrong password"({ page, address, picture, noted }) {
    await page.goto(address);
    await page.getByRole("button", { name: "I don’t have an account" }).click();
    await picture("sign-in");
    await audit(page, "sign-in");
    await page.getByLabel("Name").fill("ada");
    await page.getByLabel("Password").fill("a long enough one");
    await page.getByRole("button", { name: "Create account" }).click();
    await sendAndWait(page, "Hello, my name is Ada", 1);
    await page.reload();
    await finished(page, 1).waitFor();
    await page.locator("nav footer button").first().click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Password").fill("a wrong password");
    await page.getByLabel("Name").fill("ada");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    await page.getByLabel("Password").fill("a long enough one");
    await page.getByRole("button", { name: "Sign in" }).click();
    await entry(page, "Ada").waitFor();
    noted.length = 0;
  },

  async "the settings change the password, list devices, create a token, and delete the account"({ page, address, picture, noted }) {
    const password = "a long enough one";
    await page.goto(address);
    await page.getByRole("button", { name: "I don’t have an account" }).click();
    await page.getByLabel("Name").fill("mary");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Create account" }).click();
    await message(page).waitFor();
    const signIn = { grant_type: "password", username: "mary", password };
    const other = await (await fetch(`${address}/auth/token`, { method: "POST", body: new URLSearchParams(signIn) })).json();
    const accepts = async (token) => (await fetch(`${address}/export`, { headers: { authorization: `Bearer ${token}` } })).ok;
    check(await accepts(other.access_token), "the other device is not signed in");
    await page.goto(`${address}/?settings=security`);
    await page.getByRole("button", { name: /^Sign out of node/ }).waitFor();
    await picture("security");
    await audit(page, "password and devices");
    await page.getByRole("button", { name: /^Sign out of node/ }).click();
    await page.getByRole("button", { name: /^Sign out of node/ }).waitFor({ state: "detached" });
    check(!(await accepts(other.access_token)), "the other device stays signed in");
    await page.getByLabel("Current password").fill("a wrong password");
    for (const field of ["New password", "New password again"]) await page.getByLabel(field, { exact: true }).fill("another long one");
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByRole("alert").filter({ hasText: "current password" }).waitFor();
    await page.getByLabel("Current password").fill(password);
    // The response arrives after the page's socket, which the server closes, has asked for a token.
    const refreshes = [];
    page.on("request", (request) => request.url().endsWith("/auth/refresh") && refreshes.push(request));
    await page.route("**/auth/password", async (route) => {
      const response = await route.fetch();
      await page.evaluate(async () => {
        while ((await navigator.locks.query()).pending.length === 0) await new Promise(requestAnimationFrame);
      });
      await route.fulfill({ response });
    });
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByText("Your password was changed.").waitFor();
    check(refreshes.length === 0, "the old token was used while the password was changed");
    await openSection(page, "Access tokens");
    check(page.url() === `${address}/?settings=tokens`, `the section is not in the address: ${page.url()}`);
    await page.getByLabel("What is it for?").fill("nightly report");
    await page.getByRole("button", { name: "Create token" }).click();
    const token = await page.getByLabel("New token").inputValue();
    check(await accepts(token), "the token does not work");
    await audit(page, "access tokens");
    await picture("tokens");
    await page.getByRole("button", { name: "Revoke nightly report" }).click();
    await page.getByText("You have no access tokens.").waitFor();
    check(!(await accepts(token)), "the revoked token works");
    await openSection(page, "Delete account");
    await audit(page, "delete account");
    await page.getByLabel("Password").fill("another long one");
    check(await page.getByRole("button", { name: "Delete account" }).isDisabled(), "it needs no confirmation");
    await page.getByLabel("Type mary to confirm").fill("mary");
    await page.getByRole("button", { name: "Delete account" }).click();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    check(page.url() === `${address}/`, page.url());
    const again = await fetch(`${address}/auth/token`, { method: "POST", body: new URLSearchParams({ ...signIn, password: "another long one" }) });
    check(again.status === 400, "the account was not deleted");
    noted.length = 0;
  },

  async "a guest chats without an account, and a new account keeps the conversation"({ page, address, picture, noted }) {
    await page.goto(address);
    await page.getByRole("button", { name: "Continue as guest" }).waitFor();
    await picture("guest");
    await page.getByRole("button", { name: "Continue as guest" }).click();
    await sendAndWait(page, "Hello, my name is Ada", 1);
    check(await page.getByRole("button", { name: "Share" }).count() === 0, "it offers links, which are switched off");
    await page.reload();
    await finished(page, 1).waitFor();
    await page.locator("nav footer button").first().click();
    await page.getByText("You are a guest.").waitFor();
    await picture("guest-account");
    await audit(page, "account of a guest");
    await page.getByRole("button", { name: "Sign in or create an account" }).click();
    await page.getByLabel("Name").waitFor();
    await audit(page, "sign-in of a guest");
    await page.getByLabel("Name").fill("hedy");
    await page.getByLabel("Password").fill("a long enough one");
    await page.getByRole("button", { name: "Create account" }).click();
    await entry(page, "Ada").waitFor();
    await sendAndWait(page, "Hello again", 2);
    await page.locator("nav footer button").first().click();
    await page.getByRole("dialog", { name: "hedy" }).waitFor();
    noted.length = 0;
  },

  async "two tabs refresh the same sign-in, end it and begin another one together, and an image is shown to its owner"({ page, address, open, noted }) {
    await page.goto(address);
    await page.getByRole("button", { name: "I don’t have an account" }).click();
    await page.getByLabel("Name").fill("grace");
    await page.getByLabel("Password").fill("a long enough one");
    await page.getByRole("button", { name: "Create account" }).click();
    await message(page).waitFor();
    await page.locator('input[type="file"]').setInputFiles({ name: "mine.png", mimeType: "image/png", buffer: PNG });
    await page.locator(".files").getByText("mine.png").waitFor();
    await sendAndWait(page, "What do you see?", 1);
    check(await widthOfAttached(page) === 10, "not shown");
    const second = await open(page.url());
    await finished(second, 1).waitFor();
    for (const one of [page, second]) {
      await one.evaluate(() => {
        const kept = JSON.parse(localStorage.getItem("tertulia:session"));
        localStorage.setItem("tertulia:session", JSON.stringify({ ...kept, expiresAt: 0 }));
      });
    }
    await Promise.all([page.reload(), second.reload()]);
    for (const one of [page, second]) await finished(one, 1).waitFor();
    await sendAndWait(second, "Hello again", 2);
    await finished(page, 2).waitFor();
    await message(second).fill("Only for Grace");
    await page.goto(`${address}/?settings=general`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await second.getByLabel("Password").waitFor();
    await page.getByRole("button", { name: "Continue as guest" }).click();
    for (const one of [page, second]) {
      await message(one).waitFor();
      check(await message(one).inputValue() === "", "the draft of another user is shown");
    }
    noted.length = 0;
  },
};

export const CONNECTED = {
  async "a user connects to a server of tools, returns to the conversation, and connects again where a tool needs it"({ page, address, noted }) {
    const [place, forget] = address.split("#");
    await startConversation(page, place);
    const before = page.url();
    const openAccount = async () => {
      await page.getByRole("button", { name: "local" }).click();
      await openSection(page, "Connected tools");
    };
    await openAccount();
    await page.getByRole("button", { name: "Connect to notes" }).click();
    await page.getByText("You are connected to notes.").waitFor();
    check(page.url() === before, `it returned to ${page.url()}`);
    await sendAndWait(page, "/simulate call notes__whoami {}", 2);
    const call = (count) => finished(page, count).locator("details.call");
    check((await call(2).textContent()).includes("You are ada@notes."), "no result");
    check(await page.getByRole("button", { name: "Connect to notes" }).count() === 0, "the result offers to connect");

    await fetch(forget, { method: "POST" });
    await sendAndWait(page, "/simulate call notes__whoami {}", 3);
    await page.getByRole("button", { name: "Connect to notes" }).waitFor();
    // The page still shows the notice of the first connection.
    await page.reload();
    await page.getByRole("button", { name: "Connect to notes" }).click();
    await page.getByText("You are connected to notes.").waitFor();
    check(page.url() === before, `it returned to ${page.url()}`);
    await sendAndWait(page, "/simulate call notes__whoami {}", 4);
    const result = await call(4).textContent();
    check(result.includes("You are ada@notes."), `after the second connection: ${result}`);

    await openAccount();
    await page.getByRole("button", { name: "Disconnect from notes" }).click();
    await page.getByText("You have not connected to it yet.").waitFor();
    await audit(page, "the account dialog");
    await page.goto(`${place}/#tool-connection=forged`);
    await page.getByRole("alert").filter({ hasText: "is not valid" }).waitFor();
    check(!page.url().includes("forged"), "the secret stays in the address");
    await page.goto(`${place}/?again#tool-connection-error=denied`);
    await page.getByText("You did not allow the connection.").waitFor();
    // The page may be left while its socket connects.
    noted.splice(0, noted.length, ...noted.filter((line) => !line.includes("WebSocket")));
  },
};

export const PROVIDER = {
  async "a user signs in at an identity provider, is refreshed, and signs out there"({ page, address, picture, noted }) {
    const [place] = address.split("#");
    const signIn = page.getByRole("button", { name: "Sign in with your organization" });
    await page.goto(`${place}/?settings=tokens`);
    await signIn.waitFor();
    await picture("provider");
    await audit(page, "sign-in at a provider");
    await page.route("**/authorize?*", (route) => {
      const asked = new URL(route.request().url()).searchParams;
      const denied = new URLSearchParams({ error: "access_denied", state: asked.get("state") });
      return route.fulfill({ status: 302, headers: { location: `${asked.get("redirect_uri")}?${denied}` } });
    }, { times: 1 });
    await signIn.click();
    await page.getByRole("alert").filter({ hasText: "was cancelled" }).waitFor();
    await signIn.click();
    await page.getByRole("region", { name: "Access tokens" }).waitFor();
    check(page.url() === `${place}/?settings=tokens`, `it returned to ${page.url()}`);
    await page.evaluate(() => {
      const kept = JSON.parse(localStorage.getItem("tertulia:session"));
      localStorage.setItem("tertulia:session", JSON.stringify({ ...kept, expiresAt: 0 }));
    });
    await page.goto(place);
    await sendAndWait(page, "Hello, my name is Ada", 1);
    check(await page.evaluate(() => JSON.parse(localStorage.getItem("tertulia:session")).expiresAt > Date.now()), "not refreshed");
    await page.locator("nav footer button").first().click();
    const signedOut = page.waitForRequest((request) => new URL(request.url()).pathname === "/logout");
    await page.getByRole("button", { name: "Sign out" }).click();
    const hint = new URL((await signedOut).url()).searchParams;
    check(hint.get("id_token_hint") && hint.get("post_logout_redirect_uri") === `${place}/`, "it does not sign out at the provider");
    await signIn.waitFor();
    // A link that another person has prepared must not sign anybody in.
    await page.goto(`${place}/?code=forged&state=forged`);
    await page.getByRole("alert").filter({ hasText: "was not started in this tab" }).waitFor();
    check(page.url() === `${place}/`, "the code stays in the address");
    noted.length = 0;
  },

  async "the token of an identity provider survives a refresh"({ page, address, noted }) {
    const [place, token] = address.split("#");
    await page.goto(place);
    await page.getByText("Use an access token").click();
    await page.getByLabel("Access token").fill(token);
    await page.getByRole("button", { name: "Continue" }).click();
    await sendAndWait(page, "Hello, my name is Ada", 1);
    await page.reload();
    await finished(page, 1).waitFor();
    noted.length = 0;
  },
};

export const WIDE = {
  async "a wide table scrolls sideways, and its words are not broken"({ page, address, picture }) {
    await page.setViewportSize({ width: 390, height: 800 });
    await page.goto(address);
    const answer = await sendAndWait(page, "Anything", 1);
    await answer.locator("table td").first().waitFor();
    await picture("wide-table");
    const { inside, outside } = await answer.locator(".wide").evaluate((wide) => ({ inside: wide.scrollWidth, outside: wide.clientWidth }));
    check(inside > outside, "the table was pressed into the width of the screen");
    const lines = await answer.locator("table th").evaluateAll((cells) => cells.map((cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      return new Set([...range.getClientRects()].map((rectangle) => Math.round(rectangle.top))).size;
    }));
    check(lines.every((count) => count === 1), `words are broken over ${lines} lines`);
    check(!(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)), "the page scrolls sideways");
  },

  async "Arabic and Hebrew are read from right to left, and code from left to right"({ page, address, picture }) {
    await page.goto(address);
    await message(page).fill("שלום, מה שלומך?");
    check(await message(page).evaluate((field) => field.matches(":dir(rtl)")), "the message box is not");
    await message(page).press("Enter");
    const answer = finished(page, 1);
    await answer.locator("table td").first().waitFor();
    await picture("right-to-left");
    check(await page.locator('li[data-role="user"] .said').evaluate((said) => said.matches(":dir(rtl)")), "the message is not");
    const arabic = answer.locator("p").filter({ hasText: "مرحبا" });
    check(await arabic.evaluate((paragraph) => paragraph.matches(":dir(rtl)")), "the answer's paragraph is not");
    check(await answer.locator("ul").evaluate((list) => list.matches(":dir(rtl)")), "the answer's list is not");
    check(await answer.locator("p").filter({ hasText: "English" }).evaluate((paragraph) => paragraph.matches(":dir(ltr)")), "English is not read from left to right");
    check(await answer.locator("figure.code").evaluate((code) => code.matches(":dir(ltr)")), "code is not read from left to right");
  },
};

export const SCRIPTED = {
  async "scripts in Claude's text are never executed"({ page, address }) {
    await page.goto(address);
    const answer = await sendAndWait(page, "Anything", 1);
    await answer.getByText("End.").waitFor();
    check(await page.evaluate(() => window.taken) === undefined, "a script ran");
    check(await answer.locator("script, iframe, img, style, object").count() === 0, "elements were made");
    const links = await answer.locator(".text a").evaluateAll((found) => found.map((link) => link.getAttribute("href")));
    check(links.every((link) => link === null || /^https?:/.test(link)), `links: ${links}`);
    check((await messageText(page)) === "Anything", "another message");
  },
};

export const MOUNTED = {
  async "drafts belong to the user whom the host application has signed in"({ page, address, context }) {
    const enter = async (name) => {
      await context.addCookies([{ name: "name", value: name, url: address }]);
      await page.goto(`${address}/`);
      await page.getByRole("button", { name, exact: true }).waitFor();
    };
    const box = (text) => page.waitForFunction((wanted) => document.getElementById("text").value === wanted, text);
    await enter("Ada");
    await message(page).fill("Only for Ada");
    await enter("Grace");
    await box("");
    await message(page).fill("Only for Grace");
    await enter("Ada");
    await box("Only for Ada");
  },

  async "pages under a prefix use the server that is mounted there"({ page, address, open, noted }) {
    const { origin } = new URL(address);
    page.on("request", (request) => {
      if (request.url().startsWith(origin) && !request.url().startsWith(`${address}`)) noted.push(`left the prefix for ${request.url()}`);
    });
    await startConversation(page, `${address}/`);
    check(new URL(page.url()).pathname === "/ai/", `the address is ${page.url()}`);
    await page.locator("input[type=file]").setInputFiles({ name: "dot.png", mimeType: "image/png", buffer: PNG });
    await page.locator(".files").getByText("dot.png").waitFor();
    await sendAndWait(page, "What is this?", 2);
    await page.locator('li[data-role="user"] img').first().waitFor();
    await page.reload();
    await finished(page, 2).waitFor();
    const link = await page.locator("nav li.entry a").first().getAttribute("href");
    check(link === `/ai/?c=${idOf(page)}`, `the list links to ${link}`);
    await checkManifest(page, address);
    const graphiql = await open(`${address}/graphql`);
    await graphiql.locator(".graphiql-container").first().waitFor();
    const docs = await open(`${address}/docs`);
    await docs.locator(".opblock").first().waitFor();
  },
};
