import type { CombinedError } from "urql";
import type { CostFragment, GenerationStatus } from "./operations";

/** Return the message of an error: the server's, if it sent one. */
export function sentence(error: CombinedError): string {
  const [first] = error.graphQLErrors;
  if (first) return first.message;
  return "The server cannot be reached. Nothing is lost; try again.";
}

/** Return the error message of a mutation, or null if it succeeded. The error types of its union have a `message`. */
export function complaint(result: { error?: CombinedError | undefined; data?: object | undefined }): string | null {
  if (result.error) return sentence(result.error);
  for (const payload of Object.values(result.data ?? {}) as unknown[]) {
    if (typeof payload === "object" && payload !== null && "message" in payload) return String(payload.message);
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
  const input = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
  const counts = `${tokens(input)} tokens in, ${tokens(usage.outputTokens)} out`;
  const cost = dollars(usage.costUsd);
  return cost ? `${counts}, ${cost}` : counts;
}

export function written(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** Return an idempotency key: repeating a send with the same key does not send a second message. */
export function newKey(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  // `crypto.randomUUID` exists only on pages from this machine or over TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
