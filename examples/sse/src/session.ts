/**
 * Signs in to a server with accounts (`TERTULIA_AUTH=password`), and refreshes the access token before it expires.
 *
 * A server in the mode `local` refuses no request with 401, so none of this happens there.
 */

interface Tokens {
  readonly access: string;
  readonly refresh: string;
  /** When the access token expires, in milliseconds. */
  readonly expiresAt: number;
}

const KEY = "tokens";
/** Refresh this long before the token expires, because requests take time. */
const EARLY_MS = 30_000;

/** The server refuses the name, the password or the refresh token. */
class Refused extends Error {}

function stored(): Tokens | null {
  return JSON.parse(localStorage.getItem(KEY) ?? "null") as Tokens | null;
}

async function request(path: string, fields: Record<string, string>): Promise<Tokens> {
  const response = await fetch(path, { method: "POST", body: new URLSearchParams(fields) });
  const body = (await response.json()) as Record<string, string>;
  // 429 and 5xx say nothing about the tokens.
  if (response.status === 400) throw new Refused(body["error_description"]);
  if (!response.ok) throw new Error(body["error_description"] ?? "The server cannot be reached");
  const { access_token: access = "", refresh_token: refresh = "", expires_in: seconds } = body;
  const tokens = { access, refresh, expiresAt: Date.now() + Number(seconds) * 1000 };
  localStorage.setItem(KEY, JSON.stringify(tokens));
  return tokens;
}

export async function signIn(username: string, password: string): Promise<void> {
  await request("/auth/token", { grant_type: "password", username, password });
}

/**
 * Return new tokens, or null if the sign-in has ended.
 *
 * A refresh token works once, and a second use ends the sign-in. So only one tab refreshes, and the others read the result.
 */
function refresh(old: Tokens): Promise<Tokens | null> {
  return navigator.locks.request(KEY, async () => {
    const current = stored();
    if (current?.access !== old.access) return current;
    try {
      return await request("/auth/refresh", { refresh_token: current.refresh });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      localStorage.removeItem(KEY);
      return null;
    }
  });
}

/**
 * Like `fetch`, with the access token.
 *
 * @param askToSignIn Called if the server requires a sign-in. The request is sent again when it has resolved.
 */
export async function signedFetch(url: string, init: RequestInit, askToSignIn: () => Promise<void>): Promise<Response> {
  for (;;) {
    let tokens = stored();
    if (tokens && tokens.expiresAt - Date.now() < EARLY_MS) tokens = await refresh(tokens);
    const headers = new Headers(init.headers);
    if (tokens) headers.set("authorization", `Bearer ${tokens.access}`);
    const response = await fetch(url, { ...init, headers });
    if (response.status !== 401) return response;
    // The token was revoked, or the clock of this device is wrong.
    if (!tokens || !(await refresh(tokens))) await askToSignIn();
  }
}
