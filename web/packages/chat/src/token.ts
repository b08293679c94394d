import type { TokenSource } from "../index.d.ts";

/** A token is fetched again this long before it expires. */
const EARLY_MS = 20_000;

/** Return a function that fetches a token from the application and keeps it until it expires or `forget` is called. */
export function tokenFrom(url: string) {
  let current: Promise<string> | null = null;
  let token: string | null = null;
  return {
    async get(): Promise<string> {
      if (token !== null && expired(token)) current = null;
      current ??= fetchToken(url);
      try {
        return (token = await current);
      } catch (error) {
        current = null;
        throw error;
      }
    },
    forget() {
      current = null;
    },
  };
}

async function fetchToken(url: string): Promise<string> {
  const response = await fetch(url, { headers: { accept: "application/json, text/plain" } });
  if (!response.ok) throw new Error(`${url} returned the status ${response.status}.`);
  const text = (await response.text()).trim();
  return text.startsWith("{") ? (JSON.parse(text) as { token: string }).token : text;
}

/** Return whether a JWT expires now. Other tokens are used until the server refuses them. */
function expired(token: string): boolean {
  try {
    const payload = atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    const { exp } = JSON.parse(payload) as { exp?: number };
    return exp !== undefined && exp * 1000 - EARLY_MS < Date.now();
  } catch {
    return false;
  }
}

/** Return the token of a property or of an address, and what to do when the server refuses it. */
export function tokenSource(token: TokenSource, tokenUrl: string | null): { token: TokenSource; onRefused: () => void } {
  if (token !== null || !tokenUrl) return { token, onRefused: () => undefined };
  const fetched = tokenFrom(tokenUrl);
  return { token: fetched.get, onRefused: fetched.forget };
}
