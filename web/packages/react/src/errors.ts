/** Why a request failed, as data that can be stored. */
export interface Failure {
  /**
   * The code of a GraphQL error, or the name of an error type of the schema in the same form: `RATE_LIMITED`,
   * `BUDGET_EXCEEDED`, `CONVERSATION_BUSY`, `NOT_FOUND`, `INVALID_INPUT`. `UNREACHABLE` if the server did not respond.
   */
  readonly code: string;
  /** The server's description. */
  readonly message: string;
  /** When a retry can succeed, in milliseconds since 1970; null if at once, or if it is unknown. */
  readonly retryAt: number | null;
  /** When a budget that is used up renews, as an ISO 8601 string; null for other errors. */
  readonly resetsAt: string | null;
  /** The id under which the server has logged its own error; null for other errors. */
  readonly traceId: string | null;
}

/** A request that failed. */
export class TertuliaError extends Error {
  readonly code: string;
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.name = "TertuliaError";
    this.code = failure.code;
    this.failure = failure;
  }
}

/** An error in a GraphQL result. */
export interface ResultError {
  readonly message: string;
  readonly extensions?: Readonly<Record<string, unknown>> | undefined;
}

export const UNREACHABLE: Failure = {
  code: "UNREACHABLE", message: "The server cannot be reached.", retryAt: null, resetsAt: null, traceId: null,
};

/** Return the failure of a request by the errors of its result. */
export function requestFailure(errors: readonly ResultError[], retryAfterSeconds = 0): Failure {
  const [first] = errors;
  if (!first) return UNREACHABLE;
  const { code, traceId } = (first.extensions ?? {}) as { code?: string; traceId?: string };
  return {
    code: code ?? "BAD_RESPONSE", message: first.message, retryAt: after(retryAfterSeconds), resetsAt: null, traceId: traceId ?? null,
  };
}

/** The fields of the schema's error types, as far as an operation selects them. */
interface ErrorPayload {
  readonly __typename?: string;
  readonly message: string;
  readonly retryAfterSeconds?: number;
  readonly resetsAt?: string;
}

/** Return the failure of a mutation by its payload; null if it succeeded. */
export function payloadFailure(data: object | null | undefined): Failure | null {
  const payload = (Object.values(data ?? {}) as unknown[]).find(isError);
  if (!payload) return null;
  const { __typename = "Error", message, retryAfterSeconds = 0, resetsAt = null } = payload;
  const code = __typename.replace(/(?!^)(?=[A-Z])/g, "_").toUpperCase();
  return { code, message, retryAt: after(retryAfterSeconds), resetsAt, traceId: null };
}

function isError(payload: unknown): payload is ErrorPayload {
  return typeof payload === "object" && payload !== null && "message" in payload;
}

function after(seconds: number): number | null {
  return seconds > 0 ? Date.now() + seconds * 1000 : null;
}
