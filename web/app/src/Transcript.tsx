import type { Outgoing } from "@tertulia/react";
import { useEffect, useState } from "react";
import { useQuery } from "urql";
import { t } from "./messages";
import { EarlierDocument, type ConversationQuery, type TurnFragment } from "./operations";
import { OutgoingTurn } from "./OutgoingTurn";
import type { Problem } from "./problems";
import { Turn } from "./Turn";
import type { ScrollTarget } from "./useScrollTarget";

type Opened = NonNullable<ConversationQuery["conversation"]>;
type Page = Opened["messages"];
const NONE: Page = { edges: [], pageInfo: { hasPreviousPage: false, startCursor: null } };

export interface TurnActions {
  /** Called after the conversation has changed. */
  readonly onChanged: () => void;
  readonly onProblem: (problem: Problem | null) => void;
}

interface Props extends TurnActions {
  readonly conversation: Opened | null;
  /** The messages that are being sent, until they are read from the server. */
  readonly outgoing: readonly Outgoing[];
  readonly target: ScrollTarget;
  /** Called when the target is not on the active branch. */
  readonly onMissing: () => void;
}

/** The messages of the active branch, oldest first. Earlier ones are loaded on demand, or until the target is found. */
export function Transcript({ conversation, outgoing, onMissing, ...props }: Props) {
  const page = conversation?.messages ?? NONE;
  return (
    <>
      {conversation && <Before id={conversation.id} page={page} onMissing={onMissing} {...props} />}
      <Turns turns={page.edges.map(({ node }) => node)} outgoing={outgoing} {...props} />
    </>
  );
}

interface TurnsProps extends TurnActions {
  readonly turns: readonly TurnFragment[];
  readonly outgoing: readonly Outgoing[];
  readonly target: ScrollTarget;
}

function Turns({ turns, outgoing, ...props }: TurnsProps) {
  return (
    <ol className="turns" aria-label={t("conversation.messages")}>
      {turns.map((turn) => <Turn key={turn.id} turn={turn} {...props} />)}
      {outgoing.map((item) => <OutgoingTurn key={item.key} item={item} />)}
    </ol>
  );
}

interface BeforeProps extends TurnActions {
  readonly id: string;
  readonly page: Page;
  readonly target: ScrollTarget;
  readonly onMissing: () => void;
}

/** What is shown before a page: a button, the earlier pages, or nothing if the page is the first. */
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
        {t("conversation.earlier")}
      </button>
    );
  }
  // When a later page already has the target, drop it here. Otherwise all earlier pages would be searched for it too.
  const target = sought ? props.target : { ...props.target, messageId: null };
  return (
    <>
      <Before {...props} page={page} target={target} />
      <Turns turns={page.edges.map(({ node }) => node)} outgoing={[]} {...props} target={target} />
    </>
  );
}
