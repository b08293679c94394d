// Uses the page of examples/shop as two customers and the owner, in a real browser that can reach only this machine.
// Arguments: Chromium's path, the shop's address, and optionally a file for a picture. Prints what the pages showed.
import { finish, finished, launch, message, send, sendAndWait, watch } from "./browser.mjs";

const [executablePath, address, picture] = process.argv.slice(2);
const browser = await launch(executablePath);
const problems = [];

/** Runs in the page: `shown` contains each text of an answer that anybody could see, also while it is being written. */
function record() {
  window.shown = [];
  new MutationObserver(() => {
    for (const item of document.querySelectorAll("li[data-role=assistant]")) window.shown.push(item.textContent);
  }).observe(document, { subtree: true, childList: true, characterData: true });
}

async function signIn(name, password) {
  const context = await browser.newContext();
  await context.addInitScript(record);
  const page = watch(await context.newPage(), address, problems);
  await page.goto(address);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await page.locator("#starters button").first().waitFor();
  return page;
}

const said = async (page, text, count) => (await sendAndWait(page, text, count)).innerText();
const graphql = (page, query) => page.evaluate(async (query) => {
  const headers = { "content-type": "application/json" };
  return (await fetch("/ai/graphql", { method: "POST", headers, body: JSON.stringify({ query }) })).json();
}, query);
const roles = (page) => page.locator("li[data-role]").evaluateAll((items) => items.map((item) => item.dataset.role));

const seen = {};
try {
  const ada = await signIn("ada", "earl grey");
  await ada.getByRole("button", { name: "Add Assam, 250 g" }).click();
  await ada.getByRole("list", { name: "Cart" }).getByText("1 × Assam, 250 g").waitFor();
  seen.cart = await said(ada, "What is in my cart?", 1);
  seen.order = await said(ada, '/simulate call find_order {"number": "1042"}', 2);
  seen.cited = await said(ada, "Can I return an opened tea?", 3);
  const link = finished(ada, 3).getByRole("link");
  seen.helpPage = await (await ada.request.get(await link.getAttribute("href"))).text();
  seen.card = await said(ada, "Did I pay with 4242 4242 4242 4242?", 4);
  seen.shown = await ada.evaluate(() => window.shown.filter((text) => text.includes("pay with")));
  await send(ada, "Does green tea cure a cold?");
  await ada.getByRole("alert").waitFor();
  seen.refusal = [await ada.getByRole("alert").getAttribute("data-type"), await ada.getByRole("alert").innerText()];
  seen.draft = await message(ada).inputValue();
  if (picture) await ada.screenshot({ path: picture, fullPage: true });
  await ada.reload();
  await finished(ada, 4).waitFor();
  seen.roles = await roles(ada);
  const ids = "{ conversation(externalId: \"support\") { id lastMessage { generation { id } } } }";
  const { conversation } = (await graphql(ada, ids)).data;

  const grace = await signIn("grace", "assam");
  const sees = `{ conversation(id: "${conversation.id}") { id } conversations { edges { node { id } } }
    generation(id: "${conversation.lastMessage.generation.id}") { id } searchMessages(query: "cart") { edges { node { id } } } }`;
  seen.other = {
    api: await graphql(grace, sees),
    roles: await roles(grace),
    cart: await grace.getByRole("list", { name: "Cart" }).getByRole("listitem").count(),
    log: (await grace.request.get(`${address}/log`)).status(),
    logShown: await grace.getByRole("table", { name: "Log" }).isVisible(),
    order: await said(grace, '/simulate call find_order {"number": "1042"}', 1),
  };

  const rosa = await signIn("rosa", "sencha");
  const rows = rosa.getByRole("table", { name: "Log" }).getByRole("row");
  // Each customer: one event of a new conversation, and one of each answer.
  const deadline = Date.now() + 40_000;
  while ((await rows.count()) < 1 + 5 + 2 && Date.now() < deadline) await rosa.reload({ waitUntil: "networkidle" });
  seen.log = (await rows.allInnerTexts()).map((row) => row.split("\t"));
  if (picture) await rosa.screenshot({ path: picture.replace(".png", "-log.png"), fullPage: true });
  seen.owner = await roles(rosa);
  finish({ ...seen, problems });
} catch (error) {
  const bodies = browser.contexts().flatMap((context) => context.pages()).map((page) => page.locator("body").innerText());
  process.exitCode = 1;
  finish({ ...seen, error: String(error.stack), bodies: await Promise.all(bodies), problems });
}
