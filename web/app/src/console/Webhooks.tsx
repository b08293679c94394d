import { useMutation } from "urql";
import { dateTime, number } from "../messages";
import { toast } from "../toasts";
import { Action } from "./Action";
import { Badge, When } from "./facts";
import { useReading } from "./Loaded";
import { RetryWebhooksDocument, WebhooksDocument, type WebhooksQuery } from "./operations";
import { Table } from "./Table";
import { text } from "./texts";

type Admin = NonNullable<WebhooksQuery["admin"]>;
type Endpoint = Admin["webhooks"][number];

/** How often the webhooks are read again, in seconds. */
const REFRESH = 15;

/** The endpoints of webhooks and the events that were not delivered. */
export function Webhooks() {
  const { data, notice, again } = useReading(WebhooksDocument, {}, REFRESH);
  const admin = data?.admin;
  return (
    <>
      <h1>{text.views.webhooks}</h1>
      {notice}
      {admin && (
        <>
          <section><h2>{text.webhooks.endpoints}</h2><Endpoints endpoints={admin.webhooks} onRetried={again} /></section>
          <section><h2>{text.webhooks.failures}</h2><Failures events={admin.webhookFailures} onRetried={again} /></section>
        </>
      )}
    </>
  );
}

function Endpoints({ endpoints, onRetried }: { endpoints: Admin["webhooks"]; onRetried: () => void }) {
  return (
    <Table label={text.webhooks.endpoints} rows={endpoints} keyOf={({ name }) => name} empty={text.webhooks.none} columns={[
      { head: text.webhooks.name, cell: ({ name }) => name },
      { head: text.webhooks.state, cell: (endpoint) => <State endpoint={endpoint} /> },
      { head: text.webhooks.events, cell: ({ events }) => events.join(", ") || text.none },
      { head: text.webhooks.pending, numeric: true, cell: ({ pendingCount, oldestPendingAt }) => (
        <>{number(pendingCount)}{oldestPendingAt && <small className="below">{text.webhooks.oldest(dateTime(oldestPendingAt))}</small>}</>
      ) },
      { head: text.webhooks.delivered, numeric: true, cell: ({ deliveredCount }) => number(deliveredCount) },
      { head: text.webhooks.failed, numeric: true, cell: ({ failedCount }) => number(failedCount) },
      { head: text.answers.actions, cell: ({ name, failedCount, pendingCount, isConfigured }) =>
        isConfigured && failedCount + pendingCount > 0 ? <Retry webhook={name} words={text.webhooks.retryAll} onRetried={onRetried} /> : null },
    ]} />
  );
}

function State({ endpoint: { isConfigured, disabledAt } }: { endpoint: Endpoint }) {
  if (!isConfigured) return <Badge>{text.webhooks.removed}</Badge>;
  return disabledAt === null ? <Badge>{text.webhooks.working}</Badge> : <Badge bad>{text.webhooks.disabled(dateTime(disabledAt))}</Badge>;
}

function Failures({ events, onRetried }: { events: Admin["webhookFailures"]; onRetried: () => void }) {
  return (
    <Table label={text.webhooks.failures} rows={events} keyOf={({ id }) => id} empty={text.webhooks.noFailures} columns={[
      { head: text.answers.when, cell: ({ createdAt }) => <When at={createdAt} /> },
      { head: text.webhooks.name, cell: ({ webhook }) => webhook },
      { head: text.webhooks.event, cell: ({ event }) => <code>{event}</code> },
      { head: text.webhooks.attempts, numeric: true, cell: ({ attempts }) => number(attempts) },
      { head: text.webhooks.error, cell: ({ error }) => <span dir="auto">{error ?? text.none}</span> },
      { head: text.webhooks.next, cell: ({ nextAttemptAt }) => <When at={nextAttemptAt} otherwise={text.webhooks.given} /> },
      { head: text.answers.actions, cell: ({ id, webhook, event }) => <Retry webhook={webhook} event={{ id, name: event }} words={text.webhooks.retryOne} onRetried={onRetried} /> },
    ]} />
  );
}

interface RetryProps {
  readonly webhook: string;
  readonly event?: { readonly id: string; readonly name: string };
  readonly words: { readonly do: string; readonly title: (name: string) => string; readonly explanation: string };
  readonly onRetried: () => void;
}

function Retry({ webhook, event, words, onRetried }: RetryProps) {
  const [, retry] = useMutation(RetryWebhooksDocument);
  async function run() {
    const result = await retry(event ? { webhook: null, eventId: event.id } : { webhook, eventId: null });
    const retried = result.data?.adminRetryWebhooks;
    if (retried?.__typename === "AdminRetriedWebhooks") toast(text.webhooks.retried(retried.count));
    return result;
  }
  return <Action name={words.do} title={words.title(event?.name ?? webhook)} explanation={words.explanation} run={run} onDone={onRetried} />;
}
