import type { CombinedError } from "urql";
import { dateTime, forCode, t } from "./messages";
import type { WorkFragment } from "./operations";

/** An error in plain words, with what the user can do. */
export interface Problem {
  readonly text: string;
  /** More for the administrator, such as the server's own message and its ids. */
  readonly details: readonly string[];
  /** When a retry can succeed, in milliseconds since 1970; null if at once, or if it is unknown. */
  readonly retryAt: number | null;
}

export function problemOf(text: string, details: readonly string[] = [], retryAt: number | null = null): Problem {
  return { text, details, retryAt };
}

/** Return the problem of a request that has failed as a whole. */
export function requestProblem(error: CombinedError): Problem {
  const [first] = error.graphQLErrors;
  if (!first) return problemOf(t("problem.unreachable"));
  const { code, traceId } = first.extensions as { code?: string; traceId?: string };
  const trace = traceId ? [t("problem.traceId", { id: traceId })] : [];
  if (code === "RATE_LIMITED") {
    const seconds = Number((error.response as Response | undefined)?.headers.get("retry-after") ?? 0);
    return problemOf(t("problem.rateLimited"), [first.message], after(seconds));
  }
  if (code === "STORAGE_FULL") return problemOf(t("problem.storageFull"), trace);
  if (code === "INTERNAL_SERVER_ERROR") return problemOf(t("problem.internal"), [first.message, ...trace]);
  return problemOf(first.message, trace);
}

/** The fields of the error types in the unions of mutations, as far as an operation selects them. */
interface ErrorPayload {
  readonly __typename?: string;
  readonly message: string;
  readonly retryAfterSeconds?: number;
  readonly resetsAt?: string;
}

/** Return the problem of a mutation, or null if it succeeded. */
export function mutationProblem(result: { error?: CombinedError | undefined; data?: object | undefined }): Problem | null {
  if (result.error) return requestProblem(result.error);
  const payload = (Object.values(result.data ?? {}) as unknown[]).find(isError);
  return payload ? payloadProblem(payload) : null;
}

function isError(payload: unknown): payload is ErrorPayload {
  return typeof payload === "object" && payload !== null && "message" in payload;
}

function payloadProblem({ __typename, message, retryAfterSeconds, resetsAt }: ErrorPayload): Problem {
  switch (__typename) {
    case "RateLimited":
      return problemOf(t("problem.rateLimited"), [message], after(retryAfterSeconds ?? 0));
    case "BudgetExceeded":
      return resetsAt ? problemOf(t("problem.budget", { date: dateTime(resetsAt) }), [message]) : problemOf(message);
    case "ConversationBusy":
      return problemOf(t("problem.busy"), [message]);
    case "NotFound":
      return problemOf(t("problem.notFound"));
    default:
      // InvalidInput names the field, and SendRefused has the application's reason.
      return problemOf(message);
  }
}

/** Return why an answer failed. `finishedAt` is when, so that the wait does not start again when the page is refreshed. */
export function failure(error: NonNullable<WorkFragment["error"]>, finishedAt: string | null): Problem {
  const { code, message, requestId, retryAfterSeconds } = error;
  const since = Math.min(finishedAt ? Date.parse(finishedAt) : Infinity, Date.now());
  const ids = requestId ? [t("problem.requestId", { id: requestId })] : [];
  return problemOf(forCode("failure", code, message), [message, ...ids], retryAfterSeconds === null ? null : since + retryAfterSeconds * 1000);
}

function after(seconds: number): number | null {
  return seconds > 0 ? Date.now() + seconds * 1000 : null;
}
