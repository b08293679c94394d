import { useEffect, type ReactNode } from "react";
import { useQuery, type AnyVariables, type TypedDocumentNode } from "urql";
import { requestProblem } from "../problems";
import { ProblemNotice, RetryButton } from "../ProblemNotice";
import { text } from "./texts";

export interface Reading<Data> {
  readonly data: Data | undefined;
  readonly notice: ReactNode;
  /** Read again, for example after a change. */
  readonly again: () => void;
}

/**
 * Read what a view shows, and again every `seconds` while the console is visible.
 *
 * `notice` says that it is being read or why that failed. The data of an earlier reading stays visible.
 */
export function useReading<Data extends object, Variables extends AnyVariables>(query: TypedDocumentNode<Data, Variables>, variables: Variables, seconds = 0): Reading<Data> {
  const [{ data, error, fetching }, read] = useQuery({ query, variables, requestPolicy: "cache-and-network" });
  const again = () => read({ requestPolicy: "network-only" });
  useEffect(() => {
    if (seconds === 0) return;
    const timer = setInterval(() => document.visibilityState === "visible" && read({ requestPolicy: "network-only" }), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds, read]);
  if (error) {
    const problem = requestProblem(error);
    const retry = <RetryButton at={problem.retryAt} onRetry={async () => again()} />;
    return { data, again, notice: <ProblemNotice problem={problem}>{retry}</ProblemNotice> };
  }
  if (data && hasNoRole(data)) return { data, again, notice: <p className="notice trouble" role="alert">{text.roleGone}</p> };
  return { data, again, notice: !data && fetching ? <p className="note" role="status">{text.loading}</p> : null };
}

/** Return whether `Query.admin` is null, as it is for viewers who are not operators. */
function hasNoRole(data: object): boolean {
  return "admin" in data && data.admin === null;
}
