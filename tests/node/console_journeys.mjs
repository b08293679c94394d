// Journeys through the console, each in its own browser context. tests/test_page.py creates the users.
import { audit, ask, check } from "./browser.mjs";

const PASSWORD = "a long enough one";

/** Open a view of the console, and sign in there: the server has refused its first request. */
async function enter({ page, address, noted }, name, view = "overview") {
  await page.goto(`${address}/admin?view=${view}`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Chat" }).waitFor();
  noted.length = 0;
}

/** Sign in without the page. Return the header of requests, or null if the server refuses it. */
async function signedIn(address, username) {
  const form = new URLSearchParams({ grant_type: "password", username, password: PASSWORD });
  const response = await fetch(`${address}/auth/token`, { method: "POST", body: form });
  return response.ok ? { authorization: `Bearer ${(await response.json()).access_token}` } : null;
}

const heading = (page, name) => page.getByRole("heading", { name, exact: true });
const row = (page, table, text) => page.getByRole("table", { name: table }).getByRole("row").filter({ hasText: text }).first();

export const CONSOLE = {
  async "an operator finds a user, sees what she costs, disables her, and reads that in the audit log"(journey) {
    const { page, address, picture } = journey;
    await enter(journey, "olga");
    await page.getByText("The highest column").first().waitFor();
    await row(page, "Failures", "OVERLOADED").waitFor();
    await row(page, "Limits hit", /budget.*jean-baptiste/).waitFor();
    await picture("console-overview");
    await audit(page, "the overview");
    await page.getByRole("link", { name: "Users" }).click();
    await page.getByRole("searchbox").fill("emm");
    await row(page, "Users", "grace").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "emmy" }).click();
    await heading(page, "By model").waitFor();
    await picture("console-user");
    await audit(page, "a user");
    await page.getByRole("button", { name: "Disable" }).click();
    await page.getByRole("dialog").getByText("signed out everywhere").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
    await page.getByRole("button", { name: "Enable" }).waitFor();
    check((await signedIn(address, "emmy")) === null, "a disabled user can sign in");
    await page.getByRole("link", { name: "Audit" }).click();
    await row(page, "Audit", /user_disabled.*emmy.*olga/).waitFor();
    await page.reload();
    await row(page, "Audit", /user_disabled.*emmy.*olga/).waitFor();
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByText("The highest column").first().waitFor();
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the console is wider than a telephone");
  },

  async "a user without the role is told so, reads nothing of other users, and can sign in as another one"(journey) {
    const { page, address, picture } = journey;
    const read = [];
    page.on("request", (request) => request.url().endsWith("/graphql") && read.push(request.postData() ?? ""));
    await enter(journey, "zelda");
    await heading(page, "You are not an operator").waitFor();
    await page.getByText("tertulia user role zelda operator").waitFor();
    await picture("console-refused");
    await audit(page, "the refusal");
    check((await page.getByRole("link", { name: "Users" }).count()) === 0, "the views are offered");
    check(read.length > 0 && read.every((request) => !request.includes("admin")), "the console has asked for more");
    await page.getByRole("button", { name: "Sign in with another account" }).click();
    await page.getByLabel("Password").waitFor();
    check(new URL(page.url()).pathname === "/admin", `signing out has left the console for ${page.url()}`);
  },

  async "an operator reads and stops a running answer, sends an event again, and sees no secrets"(journey) {
    const { page, address, picture } = journey;
    const headers = await signedIn(address, "ada");
    const send = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { ... on SendMessagePayload { generation { id } } } }";
    const sent = await ask(address, send, { input: { text: "/simulate hang" } }, headers);
    const { id } = sent.sendMessage.generation;
    await enter(journey, "olga", "answers");
    await row(page, "Running, queued and waiting", "ada").getByRole("button", { name: "Read" }).click();
    await page.getByRole("dialog").getByText("recorded in the audit log").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Read" }).click();
    await page.getByRole("dialog").getByText("/simulate hang").waitFor();
    await picture("console-conversation");
    await audit(page, "a conversation");
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    await row(page, "Running, queued and waiting", "ada").getByRole("button", { name: "Stop" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
    await page.getByText("No answer is running.").waitFor();
    const { generation } = await ask(address, "query ($id: ID!) { generation(id: $id) { status } }", { id }, headers);
    check(generation.status === "STOPPED", `the answer is ${generation.status}`);
    await page.getByRole("link", { name: "Webhooks" }).click();
    await row(page, "Events that were not delivered", "shop").getByRole("button", { name: "Retry" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
    await page.getByText("1 event will be sent again.").waitFor();
    await audit(page, "the webhooks");
    await page.getByRole("link", { name: "Settings" }).click();
    await row(page, "Settings", "TERTULIA_SECRET_KEY").filter({ hasText: "set, not shown" }).waitFor();
    check(!(await page.content()).includes("a secret of the tests"), "the console shows a secret");
    await picture("console-settings");
  },
};
