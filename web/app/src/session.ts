import { BASE, at } from "./base";
import { store } from "./store";

/** A sign-in of the mode `password`, or a token from elsewhere, which has no `refresh`. Times are in milliseconds. */
export interface Session {
  readonly access: string;
  readonly refresh: string | null;
  readonly expiresAt: number;
}

/** How the server lets users in: what `GET /` says of it. */
export interface Door {
  readonly auth: "local" | "password" | "oidc" | "host";
  readonly registration: "open" | "closed";
  /** The paths of what this server has, by name. */
  readonly links: Readonly<Record<string, string>>;
}

// One origin may have several servers, each under its prefix.
const KEY = BASE === "/" ? "tertulia:session" : `tertulia:session:${BASE}`;
const EARLY = 20_000;

export const session = store<Session | null>(read());
/** Whether the server has asked who this is, and got no answer that it takes. */
export const refused = store(false);

addEventListener("storage", (event) => {
  if (event.key === KEY) session.set(read());
});

export async function door(): Promise<Door> {
  const response = await fetch(BASE, { headers: { accept: "application/json" } });
  return (await response.json()) as Door;
}

export async function signIn(path: "auth/token" | "auth/register", username: string, password: string) {
  keep(await ask(path, { grant_type: "password", username, password }));
}

export function handIn(token: string): void {
  // When it expires its issuer knows; JSON knows no Infinity.
  keep({ access: token, refresh: null, expiresAt: Number.MAX_SAFE_INTEGER });
}

export async function signOut(): Promise<void> {
  const signed = session.get();
  end();
  history.replaceState(null, "", BASE);
  if (signed) await ask("auth/revoke", { token: signed.refresh ?? signed.access }).catch(() => undefined);
}

export function expired(): boolean {
  const signed = session.get();
  return signed !== null && signed.expiresAt - EARLY < Date.now();
}

/**
 * Give headers with a token that is good, none in the mode `local`.
 *
 * A refresh token is good for one refresh, and coming twice ends its sign-in: of several tabs, one asks.
 */
export async function authorization(): Promise<Record<string, string>> {
  if (expired()) await refresh();
  const signed = session.get();
  return signed ? { Authorization: `Bearer ${signed.access}` } : {};
}

export async function refresh(): Promise<void> {
  const used = session.get();
  if (!used?.refresh) return end();
  await alone(async () => {
    const now = read();
    if (now && now.access !== used.access) return session.set(now);
    try {
      keep(await ask("auth/refresh", { refresh_token: used.refresh ?? "" }));
    } catch (error) {
      if (error instanceof Refused) end();
      else throw error;
    }
  });
}

/** Whose session it is: the token's `sub`, or "local" where nobody signs in. */
export function subject(): string {
  const payload = session.get()?.access.split(".")[1];
  if (!payload) return "local";
  try {
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { sub?: string };
    return claims.sub ?? "unknown";
  } catch {
    return "unknown";
  }
}

/** The server took the token for no good one: the next request refreshes it first. */
export function doubt(): void {
  const signed = session.get();
  if (signed) session.set({ ...signed, expiresAt: 0 });
}

/** The server does not know this sign-in any more. */
function end(): void {
  keep(null);
  refused.set(true);
}

class Refused extends Error {}

async function ask(path: string, form: Record<string, string>): Promise<Session> {
  const response = await fetch(at(path), { method: "POST", body: new URLSearchParams(form) });
  const said: unknown = await response.json().catch(() => ({}));
  if (!response.ok) {
    const { error_description: words } = said as { error_description?: string };
    if (response.status < 500 && response.status !== 429) throw new Refused(words ?? "Signing in was refused.");
    throw new Error(words ?? "The server does not answer as it should.");
  }
  const tokens = said as { access_token: string; refresh_token: string; expires_in: number };
  return {
    access: tokens.access_token,
    refresh: tokens.refresh_token,
    expiresAt: Date.now() + tokens.expires_in * 1000,
  };
}

function keep(signed: Session | null): void {
  if (signed) localStorage.setItem(KEY, JSON.stringify(signed));
  else localStorage.removeItem(KEY);
  refused.set(false);
  session.set(signed);
}

function read(): Session | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null") as Session | null;
  } catch {
    return null;
  }
}

async function alone(work: () => Promise<void>): Promise<void> {
  // Locks exist only on pages served from this machine or over TLS.
  if (navigator.locks) await navigator.locks.request(KEY, work);
  else await work();
}
