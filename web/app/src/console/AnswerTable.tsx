import { useMutation } from "urql";
import { Action } from "./Action";
import { Badge, costOf, UserLink, When } from "./facts";
import { StopAnswerDocument, type AnswerFragment } from "./operations";
import { useReader } from "./Reader";
import { Table, type Column } from "./Table";
import { text } from "./texts";

const WHO: readonly Column<AnswerFragment>[] = [{ head: text.answers.user, cell: ({ user }) => <UserLink user={user} /> }];
const WITH_WHAT: readonly Column<AnswerFragment>[] = [
  { head: text.usage.model, cell: ({ modelId }) => <span className="whole">{modelId}</span> },
  { head: text.usage.assistant, cell: ({ assistantId }) => assistantId ?? text.none },
];
const FAILURE: readonly Column<AnswerFragment>[] = [
  { head: text.answers.when, cell: ({ createdAt, finishedAt }) => <When at={finishedAt ?? createdAt} /> },
  { head: text.answers.error, cell: ({ error }) => error && (
    <>
      <Badge bad>{error.code}</Badge> <span dir="auto">{error.message}</span>
      {error.requestId && <small className="below">{text.answers.request(error.requestId)}</small>}
    </>
  ) },
  { head: text.usage.cost, numeric: true, cell: ({ usage }) => (usage ? costOf(usage) : text.none) },
];

interface Props {
  readonly answers: readonly AnswerFragment[];
  readonly ofOneUser?: boolean;
}

/** Answers that are not finished, with a button that stops each. */
export function RunningAnswers({ answers, ofOneUser = false, onStopped }: Props & { onStopped: () => void }) {
  const reader = useReader();
  const columns: readonly Column<AnswerFragment>[] = [
    ...(ofOneUser ? [] : WHO),
    { head: text.answers.status, cell: ({ status }) => <Badge>{text.answers.statuses[status]}</Badge> },
    { head: text.answers.since, cell: ({ createdAt, startedAt }) => <When at={startedAt ?? createdAt} /> },
    ...WITH_WHAT,
    { head: text.answers.actions, cell: (answer) => <><Stop answer={answer} onStopped={onStopped} /> {reader?.button(answer)}</> },
  ];
  return (
    <>
      <Table label={text.answers.running} rows={answers} columns={columns} keyOf={({ id }) => id} empty={text.answers.noRunning} />
      {reader?.dialog}
    </>
  );
}

export function FailedAnswers({ answers, ofOneUser = false }: Props) {
  const reader = useReader();
  const columns: readonly Column<AnswerFragment>[] = [
    ...(ofOneUser ? [] : WHO),
    ...FAILURE.slice(0, 2),
    ...WITH_WHAT,
    ...FAILURE.slice(2),
    ...(reader ? [{ head: text.answers.actions, cell: reader.button }] : []),
  ];
  return (
    <>
      <Table label={text.answers.failures} rows={answers} columns={columns} keyOf={({ id }) => id} empty={text.answers.noFailures} />
      {reader?.dialog}
    </>
  );
}

function Stop({ answer: { id, user }, onStopped }: { answer: AnswerFragment; onStopped: () => void }) {
  const [, stop] = useMutation(StopAnswerDocument);
  const { do: name, title, explanation } = text.answers.stop;
  return <Action name={name} title={title(user.name)} explanation={explanation} run={() => stop({ id })} onDone={onStopped} />;
}
