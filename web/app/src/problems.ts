import { payloadFailure, requestFailure, type Failure } from "@tertulia/react";
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
export function requestProblem({ graphQLErrors, response }: CombinedError): Problem {
  const seconds = Number((response as Response | undefined)?.headers.get("retry-after") ?? 0);
  return failureProblem(requestFailure(graphQLErrors, seconds));
}

/** Return the problem of a mutation, or null if it succeeded. */
export function mutationProblem(result: { error?: CombinedError | undefined; data?: object | undefined }): Problem | null {
  if (result.error) return requestProblem(result.error);
  const failure = payloadFailure(result.data);
  return failure && failureProblem(failure);
}

/** Return a failure in plain words. */
export function failureProblem({ code, message, retryAt, resetsAt, traceId }: Failure): Problem {
  const trace = traceId ? [t("problem.traceId", { id: traceId })] : [];
  switch (code) {
    case "UNREACHABLE":
      return problemOf(t("problem.unreachable"));
    case "RATE_LIMITED":
      return problemOf(t("problem.rateLimited"), [message], retryAt);
    case "BUDGET_EXCEEDED":
      return resetsAt ? problemOf(t("problem.budget", { date: dateTime(resetsAt) }), [message]) : problemOf(message);
    case "CONVERSATION_BUSY":
      return problemOf(t("problem.busy"), [message]);
    case "NOT_FOUND":
      return problemOf(t("problem.notFound"));
    case "STORAGE_FULL":
      return problemOf(t("problem.storageFull"), trace);
    case "INTERNAL_SERVER_ERROR":
      return problemOf(t("problem.internal"), [message, ...trace]);
    case "TOO_OLD":
      return problemOf(t("outgoing.old"));
    default:
      // `INVALID_INPUT` names the field, and `SEND_REFUSED` has the application's reason.
      return problemOf(message, trace);
  }
}

/** Return why an answer failed. `finishedAt` is when, so that the wait does not start again when the page is refreshed. */
export function failure(error: NonNullable<WorkFragment["error"]>, finishedAt: string | null): Problem {
  const { code, message, requestId, retryAfterSeconds } = error;
  const since = Math.min(finishedAt ? Date.parse(finishedAt) : Infinity, Date.now());
  const ids = requestId ? [t("problem.requestId", { id: requestId })] : [];
  return problemOf(forCode("failure", code, message), [message, ...ids], retryAfterSeconds === null ? null : since + retryAfterSeconds * 1000);
}
