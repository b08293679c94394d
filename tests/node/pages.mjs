// Opens the pages in a real browser that can reach nothing but this server; prints what it saw as JSON.
// Arguments: the server's address, Chromium's path, and (optional) a folder for screenshots.
import { chromium } from "playwright-core";

const [address, executablePath, pictures] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const foreign = [];
const problems = [];

async function open(path) {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  await page.route("**/*", (route) => {
    const wanted = route.request().url();
    if (wanted.startsWith(address) || wanted.startsWith("data:") || wanted.startsWith("blob:")) return route.continue();
    foreign.push(wanted);
    return route.abort();
  });
  page.on("pageerror", (error) => problems.push(`${path}: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && problems.push(`${path}: ${message.text()}`));
  await page.goto(address + path);
  return page;
}

async function picture(page, name) {
  if (pictures) await page.screenshot({ path: `${pictures}/${name}.png` });
}

async function chat() {
  const page = await open("/");
  const seen = { simulated: await page.locator("#simulated").isVisible().catch(() => false) };
  await page.fill("#text", "Hello, my name is Ada");
  await page.press("#text", "Enter");
  await page.locator("li.assistant[aria-busy=false]").first().waitFor();
  seen.first = await page.locator("li.assistant").first().innerText();
  await page.fill("#text", "/simulate long 300");
  await page.click("#send");
  await page.getByText("word20").first().waitFor();
  await page.reload();
  await page.locator("li.assistant[aria-busy=true]").waitFor();
  seen.afterReload = await page.locator("li.assistant").last().innerText();
  await picture(page, "chat");
  await page.click("#stop");
  await page.getByText("Stopped.").waitFor();
  seen.stopped = await page.locator("li.assistant").last().innerText();
  seen.simulated = await page.locator("#simulated").isVisible();
  await page.fill("#text", '/simulate call pay {"amount": 7}');
  await page.click("#send");
  await page.getByRole("button", { name: "Yes" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Yes" }).click();
  await page.getByText("Paid 7.").first().waitFor();
  await page.locator("li.assistant[aria-busy=false]").last().waitFor();
  seen.paid = await page.locator("li.assistant").last().innerText();
  await picture(page, "approved");
  seen.listed = await page.locator("#conversations li").count();
  return seen;
}

async function show(page, tab, name) {
  await page.locator(".graphiql-tab").nth(tab).click();
  // GraphiQL reads a tab's operation a moment after it is shown.
  await page.waitForFunction((wanted) => localStorage.getItem("graphiql:operationName") === wanted, name);
}

async function run(page, until) {
  await page.locator(".graphiql-execute-button").click();
  await page.waitForFunction((words) => {
    const shown = document.querySelector(".result-window .CodeMirror")?.CodeMirror.getValue() ?? "";
    return shown.includes(words);
  }, until);
  return page.evaluate(() => document.querySelector(".result-window .CodeMirror").CodeMirror.getValue());
}

async function graphiql() {
  const page = await open("/graphql");
  await page.locator(".graphiql-query-editor .CodeMirror").waitFor();
  const tabs = await page.locator(".graphiql-tab").count();
  await show(page, 0, "Create");
  const created = JSON.parse(await run(page, "createConversation"));
  await show(page, 1, "Send");
  const sent = JSON.parse(await run(page, "sendMessage"));
  await show(page, 2, "Follow");
  const id = sent.data.sendMessage.generation.id;
  await page.evaluate((variables) => {
    for (const editor of document.querySelectorAll(".graphiql-editor-tool .CodeMirror")) {
      if (editor.CodeMirror.getValue().includes("generationId")) editor.CodeMirror.setValue(variables);
    }
  }, JSON.stringify({ generationId: id }));
  const followed = JSON.parse(await run(page, "GenerationCompleted"));
  await picture(page, "graphiql");
  return { tabs, created, sent, followed };
}

async function swagger() {
  const page = await open("/docs");
  await page.getByText("/chat/stream").first().waitFor();
  await picture(page, "swagger");
  return (await page.locator(".opblock").count());
}

async function redoc() {
  const page = await open("/redoc");
  await page.getByText("/chat/stream").first().waitFor();
  await picture(page, "redoc");
  return (await page.locator("[data-section-id]").count());
}

try {
  const seen = { chat: await chat(), graphiql: await graphiql(), swagger: await swagger(), redoc: await redoc() };
  console.log(JSON.stringify({ ...seen, foreign, problems }, null, 1));
} catch (error) {
  for (const [place, page] of context.pages().entries()) await picture(page, `failed-${place}`);
  console.log(JSON.stringify({ error: String(error), foreign, problems }, null, 1));
  process.exitCode = 1;
} finally {
  await browser.close();
}
