// Uses src/session.ts of examples/sse like a page with two tabs. Arguments: the built module, the server's address, the
// name and the password of an account. Prints the statuses, and how often the user was asked and the token refreshed.
const [module, address, username, password] = process.argv.slice(2);

const values = new Map();
globalThis.localStorage = {
  getItem: (key) => values.get(key) ?? null,
  setItem: (key, value) => values.set(key, value),
  removeItem: (key) => values.delete(key),
};
let last = Promise.resolve();
const locks = { request: (_name, work) => (last = last.then(work, work)) };
Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
const counts = { asked: 0, refreshed: 0 };
const own = globalThis.fetch;
globalThis.fetch = (path, init) => {
  if (path === "/auth/refresh") counts.refreshed++;
  return own(new URL(path, address), init);
};

const { signedFetch, signIn } = await import(module);
const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"query": "{ viewer { name } }"}' };

/** Send requests at the same time, and return their statuses, with the changes of the counts. */
async function report(requests) {
  const before = { ...counts };
  const responses = await Promise.all(Array.from({ length: requests }, () => signedFetch("/graphql", init, askToSignIn)));
  const names = await Promise.all(responses.map(async (response) => (await response.json()).data?.viewer.name));
  return { names, asked: counts.asked - before.asked, refreshed: counts.refreshed - before.refreshed };
}

async function askToSignIn() {
  counts.asked++;
  await signIn(username, password);
}

const change = (changes) => values.set("tokens", JSON.stringify({ ...JSON.parse(values.get("tokens")), ...changes }));
const first = await report(1);
const again = await report(1);
change({ expiresAt: Date.now() + 1000 });
const expiring = await report(3);
change({ access: "revoked" });
const refused = await report(1);
change({ expiresAt: 0, refresh: "used" });
const ended = await report(1);
const wrong = await signIn(username, "another password").catch((error) => error.message);
console.log(JSON.stringify({ first, again, expiring, refused, ended, wrong }));
