import { useEffect, useState, type ReactNode } from "react";
import { duration, t } from "./messages";
import type { Problem } from "./problems";

/** A problem, with buttons for what the user can do about it. */
export function ProblemNotice({ problem, children }: { problem: Problem | null; children?: ReactNode }) {
  if (!problem) return null;
  const details = problem.details.filter((line) => line !== problem.text);
  return (
    <div className="notice trouble">
      <p role="alert">{problem.text}</p>
      {details.length > 0 && (
        <details>
          <summary>{t("common.details")}</summary>
          {details.map((line) => <p key={line}>{line}</p>)}
        </details>
      )}
      {/* The countdown is outside of the alert, which would read out each second. */}
      {children && <div className="actions">{children}</div>}
    </div>
  );
}

/** A button that retries, at the earliest at `at`, in milliseconds since 1970. Until then it shows the time that is left. */
export function RetryButton({ at, onRetry }: { at: number | null; onRetry: () => Promise<void> }) {
  const seconds = useSecondsUntil(at);
  const [running, setRunning] = useState(false);
  async function retry() {
    setRunning(true);
    await onRetry();
    setRunning(false);
  }
  return (
    <button type="button" className="plain" disabled={seconds > 0 || running} onClick={() => void retry()}>
      {seconds > 0 ? t("common.retryIn", { time: duration(seconds) }) : t("common.retry")}
    </button>
  );
}

function useSecondsUntil(at: number | null): number {
  const left = () => (at === null ? 0 : Math.max(0, Math.ceil((at - Date.now()) / 1000)));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    if (left() === 0) return;
    const timer = setInterval(() => {
      setSeconds(left());
      if (left() === 0) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [at]);
  return seconds;
}
