// A slow device and a slow network, to find journeys and pages that rely on speed or on the order of two requests.

const MAX_DELAY_MS = 800;
const CPU_SLOWDOWN = 4;

/** Make all pages of a browser slow. Each request, and each message of a socket, is delayed at random. */
export function slowed(browser, seed) {
  const random = generator(seed);
  const delay = () => random() * MAX_DELAY_MS;
  const create = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await create(options);
    await context.route("**/*", async (route) => {
      await sleep(delay());
      await route.fallback().catch(() => undefined);
    });
    await context.routeWebSocket(/./, (page) => {
      const server = page.connectToServer();
      page.onMessage(inOrder(delay, (message) => server.send(message)));
      server.onMessage(inOrder(delay, (message) => page.send(message)));
    });
    context.on("page", (page) => throttle(context, page).catch(() => undefined));
    return context;
  };
  return browser;
}

async function throttle(context, page) {
  const devtools = await context.newCDPSession(page);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: CPU_SLOWDOWN });
}

/** Return a function that calls `deliver` after a delay, but never before an earlier call. */
function inOrder(delay, deliver) {
  let last = Promise.resolve();
  return (message) => {
    last = Promise.all([last, sleep(delay())]).then(() => deliver(message));
  };
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Return a generator of random numbers: mulberry32. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
