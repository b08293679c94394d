import type { CombinedError } from "urql";
import type { CostFragment, GenerationStatus } from "./operations";

/** Give the sentence of a fault: the server's own words where there are some. */
export function sentence(error: CombinedError): string {
  const [first] = error.graphQLErrors;
  if (first) return first.message;
  return "The server cannot be reached. Nothing is lost; try again.";
}

/** What a mutation said that is no success, or null. Errors of its union carry a `message`. */
export function complaint(result: { error?: CombinedError | undefined; data?: object | undefined }): string | null {
  if (result.error) return sentence(result.error);
  for (const given of Object.values(result.data ?? {}) as unknown[]) {
    if (typeof given === "object" && given !== null && "message" in given) return String(given.message);
  }
  return null;
}

export function final(status: GenerationStatus): boolean {
  return status === "COMPLETED" || status === "STOPPED" || status === "FAILED";
}

export function dollars(amount: string | null): string | null {
  if (amount === null) return null;
  const value = Number(amount);
  return `$${value.toFixed(value >= 1 ? 2 : value >= 0.001 ? 4 : 6)}`;
}

export function tokens(amount: number): string {
  return amount < 10_000 ? String(amount) : `${Math.round(amount / 1000)}k`;
}

export function bytes(amount: number): string {
  return amount < 1_000_000 ? `${Math.ceil(amount / 1000)} kB` : `${(amount / 1_000_000).toFixed(1)} MB`;
}

export function spent(usage: CostFragment): string {
  const read = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  const said = `${tokens(read)} tokens in, ${tokens(usage.outputTokens)} out`;
  const cost = dollars(usage.costUsd);
  return cost ? `${said}, ${cost}` : said;
}

export function written(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** A key for one send, under which asking again is no second send. */
export function newKey(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  // It exists only on pages served from this machine or over TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
