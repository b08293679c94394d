// Uses the pages of examples/ai-sdk and examples/ag-ui in a real browser that can reach only this machine. Arguments:
// Chromium's path, an image's path, then NAME=ADDRESS. Prints what each page showed, or its error.
import { finish, launch, TIMEOUT } from "./browser.mjs";

const [executablePath, picture, ...examples] = process.argv.slice(2);
const ANSWERS = "li[data-role=assistant]";
const QUESTIONS = "li[data-role=user]";
/** The items after the last question. */
const LAST = `xpath=//li[@data-role="user"][last()]/following-sibling::li`;
const STORED = `query ($id: ID, $externalId: String) { conversation(id: $id, externalId: $externalId) { lastMessage { id text siblings { id } generation { status } }
  messages(last: 100) { edges { node { role text content { __typename } } } } } }`;

/** Open an example in its own browser context, with helpers for what a user does. */
async function opened(browser, address) {
  const context = await browser.newContext();
  const problems = [];
  context.setDefaultTimeout(TIMEOUT);
  await context.route("**/*", (route) => {
    const wanted = route.request().url();
    if (wanted.startsWith(address) || wanted.startsWith("data:")) return route.fallback();
    problems.push(`asked for ${wanted}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(address);
  const last = page.locator(LAST);
  const user = {
    page,
    problems,
    last,
    close: () => context.close(),
    said: () =>
      last
        .locator("p, pre")
        .allInnerTexts()
        .then((texts) => texts.join("\n")),
    async send(text) {
      const asked = await page.locator(QUESTIONS).count();
      await page.getByLabel("Message", { exact: true }).fill(text);
      await page.getByRole("button", { name: "Send" }).click();
      await page.locator(QUESTIONS).nth(asked).waitFor();
    },
    /** Wait until the answer to the last question contains these words. */
    hears: (words) => last.getByText(words).first().waitFor(),
    /** Wait until no answer is being written. */
    async rests() {
      await page.getByRole("button", { name: "Send" }).waitFor();
      await page.locator("[aria-label=Messages]:not(:has([aria-busy=true]))").waitFor();
    },
    async stored(id, externalId) {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ query: STORED, variables: { id, externalId } });
      const response = await fetch(`${address}/graphql`, { method: "POST", headers, body });
      return (await response.json()).data.conversation;
    },
  };
  return user;
}

async function useChat(user) {
  const { page, last } = user;
  const answers = page.locator(ANSWERS);
  const seen = {};
  const stored = () => user.stored(undefined, new URL(page.url()).searchParams.get("c"));
  await user.send("Hello, my name is Ada");
  await user.hears("Ada");
  await user.rests();
  seen.greeting = await user.said();

  // The page is reloaded in the middle of an answer.
  await user.send("/simulate long 1200");
  await user.hears("word20 ");
  await page.reload();
  await page.locator(`${ANSWERS}[aria-busy=true]`).waitFor();
  await user.hears("word20 ");
  const refreshed = await user.said();
  await user.hears("word1200.");
  await user.rests();
  seen.long = {
    refreshed,
    after: await user.said(),
    stored: (await stored()).lastMessage.text,
    answers: await answers.count(),
  };
  seen.cost = await last.locator("small").innerText();
  await page.reload();
  await user.rests();
  seen.long.later = await user.said();

  await user.send("/simulate long 3000");
  await user.hears("word10 ");
  await page.getByRole("button", { name: "Stop" }).click();
  // A stopped answer shows its cost with the text that was kept.
  await last.locator("small").waitFor();
  const { lastMessage: stopped } = await stored();
  seen.stopped = { status: stopped.generation.status, stored: stopped.text, after: await user.said() };

  const before = await page.locator("li").count();
  await page.getByRole("button", { name: "Regenerate" }).click();
  await last.and(page.locator("[aria-busy=true]")).getByText("word10 ").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await last.locator("small").waitFor();
  seen.again = {
    siblings: (await stored()).lastMessage.siblings.length,
    before,
    after: await page.locator("li").count(),
  };

  await user.send("/simulate thinking");
  await last.locator("summary").waitFor();
  await user.rests();
  seen.thinking = await last.locator("details").evaluate((details) => details.textContent);

  // The server's tool requires approval, and the request survives a refresh.
  await user.send('/simulate call pay {"amount": 7}');
  await page.getByRole("button", { name: "Yes" }).waitFor();
  const resumed = [];
  page.on("request", (request) => new URL(request.url()).pathname.endsWith("/stream") && resumed.push(request.url()));
  await page.reload();
  await page.getByRole("button", { name: "Yes" }).click();
  await user.hears("Paid 7.");
  // Nothing was resumed: a stream that arrives during the decision would overwrite it.
  seen.resumed = resumed.length;
  await user.rests();
  seen.paid = {
    calls: await last.locator("section").allInnerTexts(),
    after: await user.said(),
    stored: (await stored()).lastMessage.text,
  };
  await user.send('/simulate call pay {"amount": 8}');
  await page.getByRole("button", { name: "No", exact: true }).click();
  await user.hears("The user denied this call.");
  await user.rests();

  // The page's own tool.
  await user.send("/simulate call read_page {}");
  await user.hears("The tool returned");
  await user.rests();
  seen.own = await last.locator("section").allInnerTexts();
  await page.reload();
  await user.rests();
  seen.ownLater = await last.locator("section").allInnerTexts();

  await page.getByLabel("Files").setInputFiles(picture);
  await user.send("What is this?");
  await last.waitFor();
  await user.rests();
  seen.files = (await stored()).messages.edges.at(-2).node.content.map((block) => block.__typename);

  await user.send("/simulate error 1 reject");
  seen.alert = await page.getByRole("alert").innerText();
  await page.reload();
  await user.rests();
  seen.failed = await last.innerText();
  return seen;
}

async function agUi(user) {
  const { page, last } = user;
  const answers = page.locator(ANSWERS);
  const seen = {};
  const stored = () => user.stored(undefined, new URL(page.url()).searchParams.get("t"));
  const said = () => last.innerText();
  await user.send("Hello, my name is Ada");
  await user.hears("Ada");
  await user.rests();
  seen.greeting = await said();

  await user.send("/simulate long 1200");
  await user.hears("word20 ");
  await page.reload();
  await user.hears("word20 ");
  const refreshed = await said();
  await user.hears("word1200.");
  await user.rests();
  seen.long = {
    refreshed,
    after: await said(),
    stored: (await stored()).lastMessage.text,
    answers: await answers.count(),
  };

  await user.send("/simulate long 3000");
  await user.hears("word10 ");
  await page.getByRole("button", { name: "Stop" }).click();
  await user.rests();
  const { lastMessage: stopped } = await stored();
  seen.stopped = { status: stopped.generation.status, stored: stopped.text, after: await said() };

  // One of two calls is approved, after a refresh.
  await user.send('/simulate call pay {"amount": 7}\n/simulate call pay {"amount": 8}');
  await page.getByRole("button", { name: "Yes" }).first().waitFor();
  await page.reload();
  await page.locator("p", { hasText: /8/ }).getByRole("button", { name: "No" }).click();
  await page.getByRole("button", { name: "Yes" }).click();
  await user.hears("The tool returned");
  await user.rests();
  await user.send("/simulate call read_page {}");
  await user.hears("Tertulia with AG-UI");
  await user.rests();
  seen.told = await page.locator("li").allInnerTexts();
  await page.reload();
  await user.rests();
  seen.toldLater = await page.locator("li").allInnerTexts();

  await user.send("/simulate error 1 reject");
  seen.alert = await page.getByRole("alert").innerText();
  return seen;
}

const JOURNEYS = { "ai-sdk": useChat, "ag-ui": agUi };
const browser = await launch(executablePath);

async function seenIn(name, address) {
  const user = await opened(browser, address);
  try {
    return { ...(await JOURNEYS[name](user)), problems: user.problems };
  } catch (error) {
    return { error: String(error.stack), page: await user.page.locator("body").innerText(), problems: user.problems };
  } finally {
    await user.close();
  }
}

const pairs = examples.map((example) => example.split(/=(.*)/));
const found = await Promise.all(pairs.map(async ([name, address]) => [name, await seenIn(name, address)]));
finish(Object.fromEntries(found));
