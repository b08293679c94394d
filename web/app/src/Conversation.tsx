import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";
import { useOutgoing, useSend } from "@tertulia/react";
import { useMutation, useQuery } from "urql";
import { useAnnouncements } from "./announce";
import { useNewAssistant } from "./assistants";
import { Composer } from "./Composer";
import type { Draft } from "./drafts";
import { Header } from "./Header";
import { t } from "./messages";
import { ConversationDocument, SelectBranchDocument, StopDocument, type ConversationQuery, type StartQuery } from "./operations";
import { unseen } from "./notifications";
import { mutationProblem, problemOf, requestProblem, type Problem } from "./problems";
import { renderer } from "./renderer";
import { targetReached, useTargetMessageId } from "./route";
import { useStore } from "./store";
import { Toasts } from "./Toasts";
import { Transcript } from "./Transcript";
import { RetryButton, ProblemNotice } from "./ProblemNotice";
import { useChanges } from "./useChanges";
import { useNewPicker, useRunningPicker } from "./usePicker";
import { useSettledTurns } from "./useSettledTurns";
import { useStickToEnd } from "./useStickToEnd";
import { Welcome } from "./Welcome";
import { final } from "./words";

interface Props {
  readonly id: string | null;
  /** What the server offers; undefined until it is known. */
  readonly start: StartQuery | undefined;
  /** Whether it may become known. */
  readonly starting: boolean;
  /** Notices. They are shown above the message box, where they do not move the messages. */
  readonly children: ReactNode;
}

/** A conversation, or the welcome text of a new one, with the message box. */
export function Conversation({ id, start, starting, children }: Props) {
  const { send: sendMessage } = useSend(id);
  const [{ data, error, fetching }, read] = useQuery({
    query: ConversationDocument,
    variables: { id: id ?? "" },
    pause: !id,
    requestPolicy: "cache-and-network",
  });
  const conversation = useLatest(id, data);
  const readAgain = useCallback(() => {
    if (id) read({ requestPolicy: "network-only" });
  }, [id, read]);
  useChanges((change) => change.conversationId === id, readAgain);
  const { ref, stick, release, away } = useStickToEnd<HTMLDivElement>(id, useTargetMessageId() !== null);
  useSettledTurns(ref);
  const { settled } = useStore(renderer);
  const assistant = useNewAssistant(start?.assistants);
  const [temporary, setTemporary] = useState(false);
  const turns = conversation?.messages.edges.map(({ node }) => node) ?? [];
  useAnnouncements(turns);
  // When several generations are queued, the first is the one that is being written.
  const answering = turns.find((turn) => turn.generation && !final(turn.generation.status))?.generation ?? null;
  const outgoing = useOutgoing(id, turns);
  // After a send, urql reads the conversation again, unless a read is in flight. Its response can be older than the send.
  const stored = outgoing.find(({ messageId }) => messageId)?.messageId;
  useEffect(() => {
    if (stored) readAgain();
  }, [stored, readAgain]);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => setProblem(null), [id]);
  const newPicker = useNewPicker(assistant, start);
  const runningPicker = useRunningPicker(conversation, start, setProblem);
  const picker = id ? runningPicker : newPicker;
  const { target, onMissing } = useTarget(release, readAgain, setProblem);
  const [, stop] = useMutation(StopDocument);
  const unseenAnswers = useStore(unseen);
  useEffect(() => {
    document.title = `${unseenAnswers > 0 ? `(${unseenAnswers}) ` : ""}${conversation?.title ? `${conversation.title} · Tertulia` : "Tertulia"}`;
  }, [conversation?.title, unseenAnswers]);
  function send(draft: Draft) {
    setProblem(null);
    const options = id ? picker?.unconfirmed : picker?.options;
    void sendMessage(draft, { ...(options && { options }), ...(!id && { assistantId: assistant?.id ?? null, temporary }) });
    stick();
  }
  return (
    <>
      {conversation && <Header conversation={conversation} start={start} onProblem={setProblem} />}
      <div className="scroller" ref={ref} tabIndex={-1}>
        {/* Until the renderer is loaded, texts would have other heights. */}
        {(conversation ? settled : outgoing.length > 0) && (
          <Transcript
            key={id}
            conversation={conversation}
            outgoing={outgoing}
            target={target}
            onMissing={onMissing}
            onChanged={readAgain}
            onProblem={setProblem}
          />
        )}
        {!id && outgoing.length === 0 && start && <Welcome start={start} assistant={assistant} onPick={(text) => send({ text, files: [] })} />}
        {id && !conversation && outgoing.length === 0 && !fetching && (
          <ProblemNotice problem={error ? requestProblem(error) : problemOf(t("conversation.notFound"))}>
            {error && <RetryButton at={null} onRetry={async () => readAgain()} />}
          </ProblemNotice>
        )}
      </div>
      <div className="floating">
        {away && <button type="button" className="plain" onClick={stick}>{t("conversation.jump")}</button>}
        <Toasts />
      </div>
      {children}
      <ProblemNotice problem={problem} />
      <Composer
        draftKey={id ?? "new"}
        busy={answering !== null}
        picker={picker}
        choosing={!id && starting}
        temporary={id ? null : { on: temporary, set: setTemporary }}
        onSend={send}
        onStop={async () => {
          if (answering) setProblem(mutationProblem(await stop({ id: answering.id })));
        }}
      />
    </>
  );
}

/** Return the conversation as it was read last: a request that fails does not hide it. */
function useLatest(id: string | null, data: ConversationQuery | undefined): ConversationQuery["conversation"] {
  const latest = useRef<ConversationQuery["conversation"]>(null);
  if (data) latest.current = data.conversation;
  return latest.current?.id === id ? latest.current : null;
}

/** Scroll to the message in the address, and select its branch if another one is active. */
function useTarget(release: () => void, readAgain: () => void, setProblem: (problem: Problem | null) => void) {
  const messageId = useTargetMessageId();
  const [, select] = useMutation(SelectBranchDocument);
  const onReached = useCallback(() => {
    release();
    targetReached();
  }, [release]);
  const onMissing = useCallback(async () => {
    if (!messageId) return;
    const problem = mutationProblem(await select({ messageId }));
    setProblem(problem);
    if (problem) targetReached();
    else readAgain();
  }, [messageId, select, readAgain, setProblem]);
  return { target: { messageId, onReached }, onMissing };
}
