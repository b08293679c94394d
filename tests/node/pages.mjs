// Opens the pages in a real browser that can reach only this server. Prints what the pages show as JSON.
// Arguments: the server's address, Chromium's path, and (optional) a folder for screenshots.
import { finish, launch, TIMEOUT } from "./browser.mjs";

const [address, executablePath, pictures] = process.argv.slice(2);
const browser = await launch(executablePath);
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const foreign = [];
const problems = [];

async function open(path, script) {
  const page = await context.newPage();
  if (script) await page.addInitScript(script, {});
  page.setDefaultTimeout(TIMEOUT);
  await page.route("**/*", (route) => {
    const wanted = route.request().url();
    if (wanted.startsWith(address) || wanted.startsWith("data:") || wanted.startsWith("blob:")) return route.fallback();
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

async function plain() {
  const page = await open("/plain");
  const seen = { simulated: await page.locator("#simulated").isVisible().catch(() => false) };
  await page.fill("#text", "Hello, my name is Ada");
  await page.press("#text", "Enter");
  await page.locator("li.assistant[aria-busy=false]").first().waitFor();
  seen.first = await page.locator("li.assistant").first().innerText();
  await page.fill("#text", "/simulate long 2000");
  await page.click("#send");
  await page.getByText("word20").first().waitFor();
  await page.reload();
  await page.locator("li.assistant[aria-busy=true]").getByText("word20").waitFor();
  seen.afterReload = await page.locator("li.assistant").last().innerText();
  await picture(page, "plain");
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

// Goes to the tour's next step, and waits until its title has the focus, so that screen readers read it.
async function show(page, step) {
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText(`Step ${step} of 10`).waitFor();
  await page.waitForFunction(() => document.activeElement.id === "tour-title");
}

// Runs a step of the tour by mouse or keyboard. Returns its tab, variables, result and status text.
async function run(page, press) {
  if (press) await page.keyboard.press(press);
  else await page.getByRole("button", { name: "Run" }).click();
  const place = ".tour [role=status]";
  await page.waitForFunction((said) => !["", "Following…"].includes(document.querySelector(said).textContent), place);
  return page.evaluate(() => {
    const [result, variables] = ["response.json", "variables.json"].map((name) =>
      JSON.parse(window.textOf(name) || "null"));
    const tab = document.querySelector(".graphiql-tab-active").innerText.trim();
    return { tab, variables, ...result, said: document.querySelector(".tour [role=status]").textContent };
  });
}

async function graphiql() {
  const page = await open("/graphql", () => {
    // Each editor of GraphiQL has a model, whose address ends with a name.
    const modelOf = (name) => globalThis.__MONACO?.editor.getModels().find(({ uri }) => uri.path.endsWith(name));
    window.textOf = (name) => modelOf(name)?.getValue() ?? "";
    window.setText = (name, text) => modelOf(name).setValue(text);
  });
  const sent = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(payload))));
  await page.waitForFunction(() => document.activeElement.id === "tour-title");
  await page.waitForFunction(() => window.textOf("variables.json").includes("Ada"));
  const layout = await page.evaluate(fits);
  const tabs = await page.locator(".graphiql-tab").count();
  await page.evaluate(() => window.setText("request-headers.json", '{"Authorization": "Bearer of Ada"}'));
  const steps = [await run(page)];
  await picture(page, "graphiql");
  await show(page, 2);
  steps.push(await run(page, "Control+Enter"));
  const answer = await page.locator(".tour blockquote").innerText();
  const inaccessible = await wrong(page, "aside.tour");
  await picture(page, "graphiql-followed");
  for (const step of [3, 4, 5]) {
    await show(page, step);
    steps.push(await run(page));
  }
  await reload(page);
  await page.getByText("Step 5 of 10").waitFor();
  for (const step of [6, 7, 8, 9, 10]) {
    await show(page, step);
    steps.push(await run(page, "Control+Enter"));
  }
  return { tabs, sent, steps, answer, inaccessible, layout, ...(await leave(page)) };
}

// Returns the editors that are cut off or too narrow to read an operation.
function fits() {
  const places = [".graphiql-query-editor", ".graphiql-editor-tool", ".graphiql-response", "aside.tour"];
  return places.filter((place) => {
    const { left, right, width } = document.querySelector(place).getBoundingClientRect();
    return left < 0 || right > window.innerWidth || width < 300;
  });
}

// GraphiQL stores its tabs with a delay. A page that is reloaded before that shows one of them twice.
async function reload(page) {
  await page.waitForFunction(() => {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState")) ?? { tabs: [] };
    const names = { query: "operation.graphql", variables: "variables.json" };
    return Object.entries(names).every(([name, file]) => {
      const shown = window.textOf(file);
      return shown === tabs[activeTabIndex]?.[name] && shown === localStorage.getItem(`graphiql:${name}`);
    });
  });
  await page.reload();
}

// Ends the tour and starts it again. After closing, the focus is on the button that opens it.
async function leave(page) {
  const focus = () => page.evaluate(() => document.activeElement.innerText);
  await page.getByRole("button", { name: "Done" }).click();
  const ended = await focus();
  await reload(page);
  await page.getByRole("button", { name: "Tour" }).waitFor();
  const again = await page.locator(".tour").count();
  // The tab of a step is opened again if it was closed.
  await page.locator(".graphiql-tab").first().click();
  await page.locator(".graphiql-tab-active .graphiql-tab-close").click();
  await page.getByRole("button", { name: "Tour" }).click();
  await page.getByText("Step 1 of 10").waitFor();
  const remade = [(await run(page)).tab, await page.locator(".graphiql-tab").count()];
  await page.getByRole("button", { name: "Next" }).focus();
  await page.keyboard.press("Escape");
  await page.locator(".tour").waitFor({ state: "detached" });
  return { ended, again, remade, escaped: await focus() };
}

async function wrong(page, place) {
  const { default: axe } = await import("axe-core");
  await page.evaluate(axe.source);
  return page.evaluate(async (place) => (await window.axe.run(place)).violations.map((one) => one.help), place);
}

async function swagger() {
  const page = await open("/docs");
  await page.getByText("/chat/stream").first().waitFor();
  await picture(page, "swagger");
  const authorize = await page.getByRole("button", { name: "Authorize" }).count();
  return { operations: await page.locator(".opblock").count(), authorize };
}

async function redoc() {
  const page = await open("/redoc");
  await page.getByText("/chat/stream").first().waitFor();
  await picture(page, "redoc");
  return (await page.locator("[data-section-id]").count());
}

try {
  const seen = { plain: await plain(), graphiql: await graphiql(), swagger: await swagger(), redoc: await redoc() };
  finish({ ...seen, foreign, problems });
} catch (error) {
  for (const [place, page] of context.pages().entries()) await picture(page, `failed-${place}`);
  process.exitCode = 1;
  finish({ error: String(error), foreign, problems });
}
