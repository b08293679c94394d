import {
  TertuliaProvider, useAnswer, useConversation, useDisconnected, useSend, useToolCalls, type Draft, type Message, type MessageSettings, type Sent,
  type TertuliaClient,
} from "@tertulia/react";
import { initial, text as textOf } from "@tertulia/stream";
import { createContext, useContext, useEffect, useRef, useState } from "react";
import type { AnswerDetail, ClientTool, ErrorDetail, Texts } from "../index.d.ts";
import { Approvals } from "./Approvals.tsx";
import { Composer } from "./Composer.tsx";
import { AnswerItem, OutgoingItem, UserItem } from "./Items.tsx";
import { ENGLISH } from "./texts.ts";
import { useStickToEnd } from "./useStickToEnd.ts";

/** What scripts can do with the element. */
export interface ChatControls {
  readonly send: (draft: Draft) => Promise<void>;
  /** The generation that is being written. */
  readonly answering: string | null;
}

interface Props {
  readonly client: TertuliaClient;
  readonly conversation: string | null;
  readonly settings: MessageSettings;
  readonly tools: Readonly<Record<string, ClientTool>>;
  readonly texts: Texts;
  readonly onControls: (controls: ChatControls) => void;
  readonly onEvent: (name: string, detail: object) => void;
}

const TextsContext = createContext<Texts>(ENGLISH);

export function useTexts(): Texts {
  return useContext(TextsContext);
}

/** One conversation. */
export function Chat({ client, texts, ...props }: Props) {
  return (
    <TextsContext.Provider value={texts}>
      <TertuliaProvider client={client}><Opened {...props} /></TertuliaProvider>
    </TextsContext.Provider>
  );
}

function Opened({ conversation: id, settings, tools, onControls, onEvent }: Omit<Props, "client" | "texts">) {
  const texts = useTexts();
  const { messages, outgoing, answering, earlier, error, refresh } = useConversation(id);
  const sending = useSend(id);
  const disconnected = useDisconnected();
  const [problem, setProblem] = useState<ErrorDetail | null>(null);
  const answer = useAnswer(answering, () => void refresh());
  const { announced, expect } = useEndings(messages, answering, (detail) => onEvent("tertulia-answer", { conversationId: id, ...detail }));
  const calls = useToolCalls(answering, answer.live?.state.waits ?? null, tools);
  const { ref, stick, away } = useStickToEnd(id);
  const failure = error ?? answer.error ?? calls.error ?? problem;
  useEffect(() => {
    if (failure) onEvent("tertulia-error", { code: failure.code, message: failure.message });
  }, [failure]);
  const onSent = (sent: Sent | null) => {
    if (sent) expect(sent.generationId);
    if (sent) onEvent("tertulia-sent", sent);
    void refresh();
  };
  async function send(draft: Draft) {
    setProblem(null);
    stick();
    onSent(await sending.send(draft, settings));
  }
  /** Run a request of the user, and show why it failed. */
  const attempt = (work: () => Promise<unknown>) => {
    setProblem(null);
    work().then(refresh, (reason: ErrorDetail) => setProblem(reason));
  };
  useEffect(() => onControls({ send, answering }));
  return (
    <section part="chat" aria-label={texts.assistant}>
      <p className="hidden" role="status">{announced}</p>
      <div className="scroller" ref={ref} part="messages">
        {earlier && <button type="button" className="plain" part="button" onClick={() => void earlier()}>{texts.earlier}</button>}
        <ol>
          {messages.map((message) => {
            if (message.role === "USER") return <UserItem key={message.id} message={message} />;
            const live = message.generation?.id === answering ? answer.live : null;
            return <AnswerItem key={message.id} message={message} live={live} onRetry={() => attempt(() => sending.regenerate(message.id))} />;
          })}
          {outgoing.map((item) => <OutgoingItem key={item.key} item={item} onRetry={() => void sending.retry(item.key)} onRemove={() => sending.remove(item.key)} />)}
        </ol>
        <Approvals {...calls} />
      </div>
      {away && <button type="button" className="plain latest" part="button" onClick={stick}>{texts.latest}</button>}
      {disconnected && <p className="note" role="status">{texts.reconnecting}</p>}
      {failure && <p className="problem" part="error" role="alert">{failure.code === "UNREACHABLE" ? texts.unreachable : failure.message}</p>}
      <Composer busy={answering !== null} onSend={send} onStop={() => attempt(answer.stop)} />
    </section>
  );
}

/** Call `onEnd` once for each answer that has ended, and return what to announce to screen readers. */
function useEndings(messages: readonly Message[], answering: string | null, onEnd: (detail: Omit<AnswerDetail, "conversationId">) => void) {
  const texts = useTexts();
  const [announced, setAnnounced] = useState("");
  /** The answers that were running or were asked for here. A short one may end before it can be followed. */
  const expected = useRef(new Set<string>());
  if (answering) expected.current.add(answering);
  useEffect(() => {
    for (const { generation, content } of messages) {
      if (!generation || !isFinal(generation.status) || !expected.current.delete(generation.id)) continue;
      const text = textOf({ ...initial, blocks: content });
      setAnnounced(generation.status === "FAILED" ? texts.failed : text);
      onEnd({ generationId: generation.id, status: generation.status, text });
    }
  }, [messages]);
  return { announced, expect: (generationId: string) => expected.current.add(generationId) };
}

function isFinal(status: string): status is AnswerDetail["status"] {
  return ["COMPLETED", "STOPPED", "FAILED"].includes(status);
}
