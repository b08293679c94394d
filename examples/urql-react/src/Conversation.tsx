import { useCallback, useRef, useState } from "react";
import { useMutation, useQuery } from "urql";
import { Answer, Message } from "./Answer";
import { Composer } from "./Composer";
import { ConversationDocument, SendDocument, StopDocument } from "./operations";

/** The conversation of the page's address, `?c=ID`, or a new one. */
export function Conversation() {
  const [id, setId] = useState(() => new URLSearchParams(location.search).get("c"));
  const view = useRef<HTMLElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [{ data, error }, read] = useQuery({ query: ConversationDocument, variables: { id: id ?? "" }, pause: !id });
  const [, sendMessage] = useMutation(SendDocument);
  const [, stopGeneration] = useMutation(StopDocument);
  const readAgain = useCallback(() => read({ requestPolicy: "network-only" }), [read]);

  const conversation = data?.conversation;
  const active = conversation?.activeGeneration?.id;
  const gone = conversation === null ? "This conversation is not here any more." : null;
  const trouble = problem ?? error?.message ?? gone;

  /** Gives whether the message is on its way; if not, says why. */
  async function send(text: string, idempotencyKey: string): Promise<boolean> {
    setProblem(null);
    const { data, error } = await sendMessage({ text, idempotencyKey, conversationId: id });
    const sent = data?.sendMessage;
    if (sent?.__typename === "SendMessagePayload") {
      history.replaceState(null, "", `?c=${sent.conversation.id}`);
      setId(sent.conversation.id);
      view.current?.scrollTo(0, 0);
      return true;
    }
    // InvalidInput, RateLimited, ...: each says what is wrong, in a sentence. Behind ConversationBusy the cache reads
    // the conversation again, and the answer that another device asked for is followed here too.
    setProblem(sent?.message ?? `${error?.message}. Send it again: it is answered once.`);
    return false;
  }

  async function stop(generationId: string): Promise<void> {
    const { error } = await stopGeneration({ generationId });
    if (error) setProblem(error.message);
  }

  return (
    <main>
      <section ref={view}>
        <ol aria-label="Messages">
          {conversation?.messages.edges.map(({ node }) =>
            // What is being written is followed, also by a page that was refreshed or opened elsewhere.
            node.generation && node.generation.id === active ? (
              <Answer key={node.id} generationId={node.generation.id} onEnd={readAgain} />
            ) : (
              <Message key={node.id} message={node} />
            ),
          )}
        </ol>
      </section>
      {trouble && <p role="alert">{trouble}</p>}
      <Composer send={send} stop={active ? () => void stop(active) : null} />
    </main>
  );
}
