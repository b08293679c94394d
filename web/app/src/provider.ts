import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomNonce, generateRandomState } from "oauth4webapi";
import { at, BASE } from "./base";
import { t } from "./messages";
import { showSignInProblem, signInWithCode } from "./session";

/** What `GET /auth/provider` returns. */
interface Provider {
  readonly issuer: string;
  readonly client_id: string;
  readonly scope: string;
  readonly authorization_endpoint: string;
  readonly end_session_endpoint: string | null;
}

/** A sign-in that this tab has begun. */
interface Pending {
  readonly issuer: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  /** The page to return to, the chat or the console, and what it showed. */
  readonly path: string;
  readonly search: string;
}

const KEY = `tertulia:sign-in:${BASE}`;

/** Leave the page for the identity provider (OpenID Connect with PKCE), which returns to the page with a code. */
export async function goToProvider(): Promise<void> {
  if (!window.isSecureContext) throw new Error(t("signIn.insecure"));
  const provider = await fetchProvider();
  const pending: Pending = {
    issuer: provider.issuer,
    state: generateRandomState(),
    nonce: generateRandomNonce(),
    verifier: generateRandomCodeVerifier(),
    path: location.pathname,
    search: location.search,
  };
  sessionStorage.setItem(KEY, JSON.stringify(pending));
  const address = new URL(provider.authorization_endpoint);
  const parameters = {
    response_type: "code",
    client_id: provider.client_id,
    redirect_uri: redirectUri(),
    scope: provider.scope,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  location.assign(address);
}

/** Finish the sign-in from which the user returns. The address loses the code at once, and the code works once. */
export async function finishSignIn(): Promise<void> {
  const returned = new URLSearchParams(location.search);
  const pending = takePending();
  const returnsHere = pending?.path === BASE;
  history.replaceState(null, "", BASE + (returnsHere ? pending.search : ""));
  // Another state means that somebody else has begun this sign-in (RFC 6749, section 10.12), another issuer that another
  // provider has answered (RFC 9207).
  if (pending?.state !== returned.get("state") || (returned.get("iss") ?? pending.issuer) !== pending.issuer) return showSignInProblem(t("signIn.stale"));
  const error = returned.get("error");
  if (error) return showSignInProblem(error === "access_denied" ? t("signIn.denied") : t("signIn.failed", { code: error }));
  const { verifier: code_verifier, nonce } = pending;
  try {
    await signInWithCode({ code: returned.get("code") ?? "", code_verifier, nonce, redirect_uri: redirectUri() });
    if (!returnsHere) location.replace(pending.path + pending.search);
  } catch (failure) {
    showSignInProblem(failure instanceof TypeError ? t("problem.unreachable") : String((failure as Error).message));
  }
}

/** Sign out at the provider too, if it supports this; otherwise its next sign-in would need no password. */
export async function signOutAtProvider(idToken: string): Promise<void> {
  const provider = await fetchProvider().catch(() => null);
  if (!provider?.end_session_endpoint) return;
  const address = new URL(provider.end_session_endpoint);
  const parameters = { client_id: provider.client_id, id_token_hint: idToken, post_logout_redirect_uri: redirectUri() };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  location.assign(address);
}

async function fetchProvider(): Promise<Provider> {
  const response = await fetch(at("auth/provider")).catch(() => {
    throw new Error(t("problem.unreachable"));
  });
  if (response.ok) return (await response.json()) as Provider;
  const { error_description: text } = (await response.json().catch(() => ({}))) as { error_description?: string };
  throw new Error(text ?? t("problem.serverStatus", { status: response.status }));
}

function redirectUri(): string {
  return new URL(BASE, location.href).href;
}

function takePending(): Pending | null {
  const stored = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  return stored === null ? null : (JSON.parse(stored) as Pending);
}
