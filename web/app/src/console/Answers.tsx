import { RunningAnswers, FailedAnswers } from "./AnswerTable";
import { nodesOf } from "./facts";
import { useReading } from "./Loaded";
import { AnswersDocument, FailuresDocument } from "./operations";
import { Pager, usePages } from "./Table";
import { text } from "./texts";

const PAGE = 25;
/** How often the running answers are read again, in seconds. */
const REFRESH = 5;

/** What runs now and what has failed. Texts of users are shown only if the server allows it, by `Reader`. */
export function Answers() {
  return (
    <>
      <h1>{text.views.answers}</h1>
      <Running />
      <Failed />
    </>
  );
}

function Running() {
  const pages = usePages("running");
  const { data, notice, again } = useReading(AnswersDocument, { first: PAGE, after: pages.after }, REFRESH);
  const answers = data?.admin?.answers;
  return (
    <section>
      <h2>{text.answers.running}</h2>
      {notice}
      {answers && <RunningAnswers answers={nodesOf(answers)} onStopped={again} />}
      {answers && <Pager pages={pages} info={answers.pageInfo} />}
    </section>
  );
}

function Failed() {
  const pages = usePages("failed");
  const { data, notice } = useReading(FailuresDocument, { first: PAGE, after: pages.after });
  const failures = data?.admin?.failures;
  return (
    <section>
      <h2>{text.answers.failures}</h2>
      {notice}
      {failures && <FailedAnswers answers={nodesOf(failures)} />}
      {failures && <Pager pages={pages} info={failures.pageInfo} />}
    </section>
  );
}
