import { useEffect, useState } from "react";
import { useQuery } from "urql";
import { Attachment } from "./Attachment";
import type { Draft } from "./drafts";
import { EarlierDocument, type ConversationQuery, type TurnFragment } from "./operations";
import { Turn } from "./Turn";
import type { ScrollTarget } from "./useScrollTarget";

type Opened = NonNullable<ConversationQuery["conversation"]>;
type Page = Opened["messages"];
const NONE: Page = { edges: [], pageInfo: { hasPreviousPage: false, startCursor: null } };

export interface TurnActions {
  /** The conversation is not what it was. */
  readonly onChanged: () => void;
  readonly onProblem: (problem: string | null) => void;
}

interface Props extends TurnActions {
  readonly conversation: Opened | null;
  /** What is being sent, until it is read back. */
  readonly sending: Draft | null;
  readonly target: ScrollTarget;
  /** The target is not on the active branch. */
  readonly onMissing: () => void;
}

/** The active branch, oldest first. Earlier messages are read on demand, or until the target is found. */
export function Transcript({ conversation, sending, onMissing, ...props }: Props) {
  const page = conversation?.messages ?? NONE;
  return (
    <>
      {conversation && <Before id={conversation.id} page={page} onMissing={onMissing} {...props} />}
      <Turns turns={page.edges.map(({ node }) => node)} sending={sending} {...props} />
    </>
  );
}

interface TurnsProps extends TurnActions {
  readonly turns: readonly TurnFragment[];
  readonly sending: Draft | null;
  readonly target: ScrollTarget;
}

function Turns({ turns, sending, ...props }: TurnsProps) {
  return (
    <ol className="turns" aria-label="Messages">
      {turns.map((turn) => <Turn key={turn.id} turn={turn} {...props} />)}
      {sending && (
        <li className="user" data-role="user" aria-busy="true">
          <div className="said" dir="auto">
            {sending.files.map((file) => <Attachment key={file.id} file={file} />)}
            {sending.text}
          </div>
        </li>
      )}
    </ol>
  );
}

interface BeforeProps extends TurnActions {
  readonly id: string;
  readonly page: Page;
  readonly target: ScrollTarget;
  readonly onMissing: () => void;
}

/** What comes before a page: a button, the earlier pages, or nothing where the page is the first one. */
function Before({ page, target, onMissing, ...props }: BeforeProps) {
  const { hasPreviousPage, startCursor } = page.pageInfo;
  const sought = target.messageId !== null && !page.edges.some(({ node }) => node.id === target.messageId);
  const missing = sought && !hasPreviousPage;
  useEffect(() => {
    if (missing) onMissing();
  }, [missing, onMissing]);
  if (!hasPreviousPage || !startCursor) return null;
  return <Earlier before={startCursor} sought={sought} target={target} onMissing={onMissing} {...props} />;
}

interface EarlierProps extends Omit<BeforeProps, "page"> {
  readonly before: string;
  readonly sought: boolean;
}

function Earlier({ before, sought, ...props }: EarlierProps) {
  const [asked, setAsked] = useState(false);
  const [{ data }] = useQuery({ query: EarlierDocument, variables: { id: props.id, before }, pause: !asked });
  useEffect(() => {
    if (sought) setAsked(true);
  }, [sought]);
  const page = data?.conversation?.messages;
  if (!page) {
    return (
      <button type="button" className="quiet earlier" disabled={asked} onClick={() => setAsked(true)}>
        Earlier messages
      </button>
    );
  }
  // The pages after this one have been searched: without the target, they would look for it again.
  const target = sought ? props.target : { ...props.target, messageId: null };
  return (
    <>
      <Before {...props} page={page} target={target} />
      <Turns turns={page.edges.map(({ node }) => node)} sending={null} {...props} target={target} />
    </>
  );
}
