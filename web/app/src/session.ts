import { BASE, at } from "./base";
import { t } from "./messages";
import { store } from "./store";

/** A sign-in of the mode `password`, or an identity provider's token, which has no `refresh`. */
export interface Session {
  readonly access: string;
  readonly refresh: string | null;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** Whether the user is a guest, who has no account. */
  readonly guest?: boolean;
  /** The ID token of an identity provider, for signing out there. */
  readonly idToken?: string;
}

/** How users sign in and what the server offers, from `GET /`. */
export interface ServerInfo {
  readonly auth: "local" | "password" | "oidc" | "host";
  readonly registration: "open" | "closed";
  /** Whether people can chat without an account. */
  readonly guests: boolean;
  /** Whether users can create links to conversations. */
  readonly sharing: boolean;
  /** Whether users sign in at an identity provider. */
  readonly provider: boolean;
  /** The paths of this server's routes, by name. */
  readonly links: Readonly<Record<string, string>>;
}

// One origin may have several servers, each under its prefix.
const KEY = BASE === "/" ? "tertulia:session" : `tertulia:session:${BASE}`;
/** A token is refreshed this long before it expires. */
const REFRESH_EARLY_MS = 20_000;

export const session = store<Session | null>(read());
/** Whether the server requires a sign-in and has refused the current one, or none. */
export const refused = store(false);
/** The id of the user whom a host application has signed in. Its users share this browser without signing in on the page. */
export const hostUser = store<string | null>(null);
/** Whether a guest wants to sign in or to create an account. */
export const claiming = store(false);
/** Why the sign-in at the identity provider, from which the user returned, has failed. */
export const signInProblem = store<string | null>(null);

addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  session.set(read());
  // The user has signed in in another tab.
  if (session.get()) refused.set(false);
});

export async function fetchServerInfo(): Promise<ServerInfo> {
  const response = await fetch(BASE, { headers: { accept: "application/json" } });
  return (await response.json()) as ServerInfo;
}

export async function signIn(path: "auth/token" | "auth/register", username: string, password: string) {
  const guest = await guestToken();
  keep(await requestTokens(path, { grant_type: "password", username, password, ...(guest && { guest_token: guest }) }));
}

/** Chat without an account. */
export async function enterAsGuest(): Promise<void> {
  keep({ ...(await requestTokens("auth/guest", {})), guest: true });
}

/** Return a valid token of the guest, with which an account gets the guest's conversations. */
async function guestToken(): Promise<string | null> {
  if (!session.get()?.guest) return null;
  return accessToken();
}

/** Exchange the code with which the user returned from the identity provider. */
export async function signInWithCode(form: Record<string, string>): Promise<void> {
  keep(await requestTokens("auth/token", { grant_type: "authorization_code", ...form }));
}

/** Show the form for signing in, and why the sign-in has failed. */
export function showSignInProblem(text: string): void {
  signInProblem.set(text);
  refused.set(true);
}

export function saveToken(token: string): void {
  // Only the issuer knows when the token expires, and JSON cannot represent Infinity.
  keep({ access: token, refresh: null, expiresAt: Number.MAX_SAFE_INTEGER });
}

/** Change the password. This signs the user out on all other devices, and gives this one new tokens. */
export async function changePassword(password: string, changed: string): Promise<void> {
  const headers = await authorization();
  // The server closes this device's sockets before its response is here. No refresh may use the old token meanwhile.
  await exclusively(async () => {
    keep(await requestTokens("auth/password", { password, new_password: changed }, headers));
  });
}

/** Delete the account with all of the user's data. The server of an identity provider asks for no password. */
export async function deleteAccount(username: string, password: string): Promise<void> {
  await request("DELETE", "auth/user", { username, ...(password && { password }) }, await authorization());
  history.replaceState(null, "", BASE);
  end();
}

/** Sign out, and show this address: that of a new conversation, unless another is passed. */
export async function signOut(address = BASE): Promise<void> {
  const signed = session.get();
  end();
  history.replaceState(null, "", address);
  if (!signed) return;
  await request("POST", "auth/revoke", { token: signed.refresh ?? signed.access }, {}).catch(() => undefined);
  if (signed.idToken) await (await import("./provider")).signOutAtProvider(signed.idToken);
}

export function expired(): boolean {
  const signed = session.get();
  return signed !== null && signed.expiresAt - REFRESH_EARLY_MS < Date.now();
}

/**
 * Return headers with a valid token; none in the mode `local`.
 *
 * A refresh token can be used once. Using it twice ends the sign-in, so only one of several tabs refreshes.
 */
export async function authorization(): Promise<Record<string, string>> {
  const access = await accessToken();
  return access ? { Authorization: `Bearer ${access}` } : {};
}

/** Return a valid token; null in the mode `local`. */
export async function accessToken(): Promise<string | null> {
  if (expired()) await refresh();
  return session.get()?.access ?? null;
}

export async function refresh(): Promise<void> {
  const used = session.get();
  if (!used?.refresh) return end();
  await exclusively(async () => {
    const stored = read();
    if (stored && !isSame(stored, used)) return session.set(stored);
    try {
      const guest = used.guest === true && { guest: true };
      const renewed = await requestTokens("auth/refresh", { refresh_token: used.refresh ?? "" });
      // A provider may issue an ID token only once.
      keep({ ...(used.idToken && { idToken: used.idToken }), ...renewed, ...guest });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // The user may have signed in again meanwhile.
      if (isSame(read(), used)) end();
    }
  });
}

/** Return whether two sign-ins have the same tokens. A provider can return the same access token after a refresh. */
function isSame(one: Session | null, other: Session): boolean {
  return one?.access === other.access && one.refresh === other.refresh;
}

/** Return the token's `sub`, the id of a host application's user once it is known, or "local". */
export function subject(): string {
  const payload = session.get()?.access.split(".")[1];
  if (!payload) return hostUser.get() ?? "local";
  try {
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { sub?: string };
    return claims.sub ?? "unknown";
  } catch {
    return "unknown";
  }
}

/** Refresh the token before the next request, because the server has refused it. */
export function requireRefresh(): void {
  const signed = session.get();
  if (signed) session.set({ ...signed, expiresAt: 0 });
}

/** Forget the sign-in, which the server no longer accepts. */
function end(): void {
  keep(null);
  refused.set(true);
}

class Refused extends Error {}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string | null;
  readonly expires_in: number;
  readonly id_token?: string | null;
}

async function requestTokens(path: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Session> {
  const tokens = (await request("POST", path, form, headers)) as Tokens;
  return {
    access: tokens.access_token,
    refresh: tokens.refresh_token,
    expiresAt: Date.now() + tokens.expires_in * 1000,
    ...(tokens.id_token && { idToken: tokens.id_token }),
  };
}

async function request(method: string, path: string, form: Record<string, string>, headers: Record<string, string>): Promise<unknown> {
  const response = await fetch(at(path), { method, headers, body: new URLSearchParams(form) });
  const body: unknown = await response.json().catch(() => ({}));
  if (!response.ok) {
    const { error_description: description } = body as { error_description?: string };
    if (response.status < 500 && response.status !== 429) throw new Refused(description ?? t("problem.signInRefused"));
    throw new Error(description ?? t("problem.serverStatus", { status: response.status }));
  }
  return body;
}

function keep(signed: Session | null): void {
  if (signed) localStorage.setItem(KEY, JSON.stringify(signed));
  else localStorage.removeItem(KEY);
  refused.set(false);
  signInProblem.set(null);
  claiming.set(false);
  session.set(signed);
}

function read(): Session | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null") as Session | null;
  } catch {
    return null;
  }
}

let lastWork: Promise<void> = Promise.resolve();

/** Run `work` in one tab at a time, and one after another. */
async function exclusively(work: () => Promise<void>): Promise<void> {
  // Locks exist only on pages served from this machine or over TLS.
  if (navigator.locks) return navigator.locks.request(KEY, work);
  const done = lastWork.then(work);
  lastWork = done.catch(() => undefined);
  return done;
}
