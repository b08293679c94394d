import { useState } from "react";
import { useQuery } from "urql";
import { Attachment } from "./Attachment";
import type { Draft } from "./Composer";
import { EarlierDocument, type ConversationQuery, type TurnFragment } from "./operations";
import { Turn } from "./Turn";

type Opened = NonNullable<ConversationQuery["conversation"]>;
const NONE: Opened["messages"] = { edges: [], pageInfo: { hasPreviousPage: false, startCursor: null } };

export interface TurnActions {
  /** The conversation is not what it was. */
  readonly onChanged: () => void;
  readonly onProblem: (problem: string | null) => void;
}

interface Props extends TurnActions {
  readonly conversation: Opened | null;
  /** What is being sent, until it is read back. */
  readonly sending: Draft | null;
}

/** The active branch, oldest first; what is earlier is read when it is asked for. */
export function Transcript({ conversation, sending, ...actions }: Props) {
  const { edges, pageInfo } = conversation?.messages ?? NONE;
  const turns = edges.map(({ node }) => node);
  return (
    <>
      {conversation && pageInfo.hasPreviousPage && pageInfo.startCursor && (
        <Earlier id={conversation.id} before={pageInfo.startCursor} {...actions} />
      )}
      <Turns turns={turns} sending={sending} {...actions} />
    </>
  );
}

function Turns({ turns, sending, ...actions }: TurnActions & { turns: readonly TurnFragment[]; sending: Draft | null }) {
  return (
    <ol className="turns" aria-label="Messages">
      {turns.map((turn) => <Turn key={turn.id} turn={turn} {...actions} />)}
      {sending && (
        <li className="user" data-role="user" aria-busy="true">
          <div className="said">
            {sending.files.map((file) => <Attachment key={file.id} file={file} />)}
            {sending.text}
          </div>
        </li>
      )}
    </ol>
  );
}

interface EarlierProps extends TurnActions {
  readonly id: string;
  readonly before: string;
}

function Earlier({ id, before, ...actions }: EarlierProps) {
  const [asked, setAsked] = useState(false);
  const [{ data }] = useQuery({ query: EarlierDocument, variables: { id, before }, pause: !asked });
  const page = data?.conversation?.messages;
  if (!page) {
    return (
      <button type="button" className="quiet earlier" disabled={asked} onClick={() => setAsked(true)}>
        Earlier messages
      </button>
    );
  }
  return (
    <>
      {page.pageInfo.hasPreviousPage && page.pageInfo.startCursor && (
        <Earlier id={id} before={page.pageInfo.startCursor} {...actions} />
      )}
      <Turns turns={page.edges.map(({ node }) => node)} sending={null} {...actions} />
    </>
  );
}
