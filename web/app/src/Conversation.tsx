import { useCallback, useEffect, useState, type ReactNode } from "react";
import { useMutation, useQuery } from "urql";
import { allowedInNew, useNewAssistant } from "./assistants";
import { Composer } from "./Composer";
import type { Attempt, Draft } from "./drafts";
import { Header } from "./Header";
import { ConversationDocument, SelectBranchDocument, SendDocument, StopDocument, type StartQuery } from "./operations";
import { NEW_CHOICES, type Choices } from "./Options";
import { show, targetReached, useTargetMessageId } from "./route";
import { Transcript } from "./Transcript";
import { useChanges } from "./useChanges";
import { useStickToEnd } from "./useStickToEnd";
import { Welcome } from "./Welcome";
import { complaint, final, newKey, sentence } from "./words";

interface Props {
  readonly id: string | null;
  /** What the server offers; undefined until it is known. */
  readonly start: StartQuery | undefined;
  /** Notices. They are shown above the message box, where they do not move the messages. */
  readonly children: ReactNode;
}

/** A conversation, or the welcome text of a new one, with the message box. */
export function Conversation({ id, start, children }: Props) {
  const [{ data, error, fetching }, read] = useQuery({
    query: ConversationDocument,
    variables: { id: id ?? "" },
    pause: !id,
    requestPolicy: "cache-and-network",
  });
  const conversation = id && data?.conversation?.id === id ? data.conversation : null;
  const readAgain = useCallback(() => {
    if (id) read({ requestPolicy: "network-only" });
  }, [id, read]);
  useChanges((change) => change.conversationId === id, readAgain);
  const { ref, stick, release, away } = useStickToEnd<HTMLDivElement>(id, useTargetMessageId() !== null);
  const assistant = useNewAssistant(start?.assistants);
  const [choices, setChoices] = useState<Choices>(NEW_CHOICES);
  useEffect(() => setChoices((now) => ({ ...now, options: {} })), [assistant?.id]);
  const turns = conversation?.messages.edges.map(({ node }) => node) ?? [];
  // When several generations are queued, the first is the one that is being written.
  const answering = turns.find((turn) => turn.generation && !final(turn.generation.status))?.generation ?? null;
  const { send, sending, forgetSent, problem, setProblem } = useSend(id, answering !== null, assistant?.id, choices, stick);
  const unread = sending?.to === id && !turns.some((turn) => turn.id === sending.messageId) ? sending.draft : null;
  // Once the message has been read from the server, forget it: after an edit it is not in the branch, and would be shown as unsent.
  const readBack = turns.some((turn) => turn.id === sending?.messageId);
  useEffect(() => {
    if (readBack) forgetSent();
  }, [readBack, forgetSent]);
  const { target, onMissing } = useTarget(release, readAgain, setProblem);
  const [, stop] = useMutation(StopDocument);
  useEffect(() => {
    document.title = conversation?.title ? `${conversation.title} · Tertulia` : "Tertulia";
  }, [conversation?.title]);
  return (
    <>
      {conversation && <Header conversation={conversation} start={start} onProblem={setProblem} />}
      <div className="scroller" ref={ref} tabIndex={-1}>
        {(conversation || unread) && (
          <Transcript
            key={id}
            conversation={conversation}
            sending={unread}
            target={target}
            onMissing={onMissing}
            onChanged={readAgain}
            onProblem={setProblem}
          />
        )}
        {!id && !unread && start && <Welcome start={start} assistant={assistant} onPick={(text) => void send({ text, files: [] }, () => undefined)} />}
        {id && !conversation && !unread && !fetching && (
          <p className="notice trouble" role="alert">{error ? sentence(error) : "This conversation no longer exists."}</p>
        )}
      </div>
      {away && (
        <button type="button" className="quiet toEnd" onClick={stick}>Jump to the end</button>
      )}
      {children}
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      <Composer
        draftKey={id ?? "new"}
        busy={answering !== null}
        choices={id || !start ? null : { choices, setChoices, allowed: allowedInNew(assistant, start) }}
        onSend={send}
        onStop={async () => {
          if (answering) setProblem(complaint(await stop({ id: answering.id })));
        }}
      />
    </>
  );
}

/** A message that is being sent. */
interface Sending {
  readonly draft: Draft;
  /** The conversation's id; null for a new one. */
  readonly to: string | null;
  /** Known once the server has stored the message. */
  readonly messageId: string | null;
}

/** Send messages. A repeated attempt uses the same idempotency key, so that it does not become a second message. */
function useSend(id: string | null, busy: boolean, assistantId: string | undefined, choices: Choices, stick: () => void) {
  const [, mutate] = useMutation(SendDocument);
  const [problem, setProblem] = useState<string | null>(null);
  const [sending, setSending] = useState<Sending | null>(null);
  useEffect(() => setProblem(null), [id]);
  async function send(draft: Draft, remember: (attempt: Attempt | null) => void): Promise<boolean> {
    const { text, files } = draft;
    const settings = id ? {} : { assistantId, options: choices.options, temporary: choices.temporary };
    const input = { text, conversationId: id, attachmentIds: files.map((file) => file.id), ...settings };
    const content = JSON.stringify(input);
    const former = draft.attempt?.content === content ? draft.attempt : null;
    const attempt = former ?? { content, key: newKey(), whenBusy: busy ? ("QUEUE" as const) : ("REJECT" as const) };
    remember(attempt);
    setSending({ draft, to: id, messageId: null });
    stick();
    const result = await mutate({ input: { ...input, idempotencyKey: attempt.key, whenBusy: attempt.whenBusy } });
    setProblem(complaint(result));
    const sent = result.data?.sendMessage;
    const done = sent?.__typename === "SendMessagePayload";
    setSending(done ? { draft, to: sent.conversation.id, messageId: sent.userMessage.id } : null);
    // After an error of the network, the message may have been stored.
    if (sent) remember(null);
    if (!done) return false;
    show(sent.conversation.id);
    return true;
  }
  const forgetSent = useCallback(() => setSending(null), []);
  return { send, sending, forgetSent, problem, setProblem };
}

/** Scroll to the message in the address, and select its branch if another one is active. */
function useTarget(release: () => void, readAgain: () => void, setProblem: (problem: string | null) => void) {
  const messageId = useTargetMessageId();
  const [, select] = useMutation(SelectBranchDocument);
  const onReached = useCallback(() => {
    release();
    targetReached();
  }, [release]);
  const onMissing = useCallback(async () => {
    if (!messageId) return;
    const problem = complaint(await select({ messageId }));
    setProblem(problem);
    if (problem) targetReached();
    else readAgain();
  }, [messageId, select, readAgain, setProblem]);
  return { target: { messageId, onReached }, onMissing };
}
