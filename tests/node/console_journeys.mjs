// Journeys through the console, each in its own browser context. tests/test_page.py creates the users.
import { audit, check } from "./browser.mjs";

const PASSWORD = "a long enough one";

/** Open a view of the console, and sign in there: the server has refused its first request. */
async function enter({ page, address, noted }, name, view = "users") {
  await page.goto(`${address}/admin?view=${view}`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Chat" }).waitFor();
  noted.length = 0;
}

const heading = (page, name) => page.getByRole("heading", { name, exact: true });
const row = (page, table, text) => page.getByRole("table", { name: table }).getByRole("row").filter({ hasText: text }).first();

export const CONSOLE = {
  async "an operator finds a user, and sees what she costs"(journey) {
    const { page, address, picture } = journey;
    await enter(journey, "olga", "users");
    await picture("console-users");
    await audit(page, "the users");
    await page.getByRole("searchbox").fill("emm");
    await row(page, "Users", "grace").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "emmy" }).click();
    await heading(page, "Sign-ins").waitFor();
    await picture("console-user");
    await audit(page, "a user");
    await page.reload();
    await heading(page, "emmy").waitFor();
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole("link", { name: "All users" }).click();
    await row(page, "Users", "olga").waitFor();
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
};
