import { useState, type ReactNode } from "react";
import { useMutation, useQuery } from "urql";
import { Dialog } from "../Dialog";
import { mutationProblem, type Problem } from "../problems";
import { ProblemNotice } from "../ProblemNotice";
import { Action } from "./Action";
import { nodesOf, When } from "./facts";
import { MayReadDocument, ReadConversationDocument, type AnswerFragment, type ReadConversationMutation } from "./operations";
import { text } from "./texts";

type Conversation = Extract<ReadConversationMutation["adminReadConversation"], { __typename: "AdminConversation" }>;

interface Reader {
  /** Return the button that reads the conversation of an answer; null if the server does not allow it. */
  readonly button: (answer: AnswerFragment) => ReactNode;
  /** The conversation that is read. It is not part of a row, because rows of answers that end disappear. */
  readonly dialog: ReactNode;
}

/** Read conversations, if the server allows operators to do so. It records each time in the audit log. */
export function useReader(): Reader | null {
  const [{ data: allowed }] = useQuery({ query: MayReadDocument, variables: {} });
  const [{ data }, read] = useMutation(ReadConversationDocument);
  const [open, setOpen] = useState(false);
  if (!allowed?.admin?.mayRead) return null;
  const conversation = data?.adminReadConversation;
  const { do: name, title, explanation } = text.answers.read;
  return {
    button: ({ conversationId, user }) => (
      <Action name={name} title={title(user.name)} explanation={explanation} run={() => read({ id: conversationId, before: null })} onDone={() => setOpen(true)} />
    ),
    dialog: open && conversation?.__typename === "AdminConversation" && <Texts newest={conversation} onClose={() => setOpen(false)} />,
  };
}

function Texts({ newest, onClose }: { newest: Conversation; onClose: () => void }) {
  const [pages, setPages] = useState<readonly Conversation["messages"][]>([newest.messages]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [{ fetching }, read] = useMutation(ReadConversationDocument);
  const before = pages[0]?.pageInfo;
  async function readEarlier(cursor: string) {
    const result = await read({ id: newest.id, before: cursor });
    setProblem(mutationProblem(result));
    const conversation = result.data?.adminReadConversation;
    if (conversation?.__typename === "AdminConversation") setPages((later) => [conversation.messages, ...later]);
  }
  return (
    <Dialog title={newest.title ?? text.answers.read.untitled(newest.user.name)} onClose={onClose} wide>
      <div className="texts">
        <ProblemNotice problem={problem} />
        {before?.hasPreviousPage && before.startCursor !== null && (
          <button type="button" className="plain small" disabled={fetching} onClick={() => void readEarlier(before.startCursor ?? "")}>{text.answers.read.earlier}</button>
        )}
        {pages.flatMap(nodesOf).map((message, place) => (
          <section key={place}>
            <p className="note">{text.answers.read.roles[message.role]} · <When at={message.createdAt} /></p>
            <p dir="auto">{message.text || text.none}</p>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
