import { useCallback, useRef, useState } from "react";
import { useMutation, useQuery } from "urql";
import { Answer, Message } from "./Answer";
import { Composer } from "./Composer";
import { ConversationDocument, SendDocument, StopDocument } from "./operations";

/** The conversation in the page's address, `?c=ID`, or a new one. */
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
  const gone = conversation === null ? "This conversation no longer exists." : null;
  const trouble = problem ?? error?.message ?? gone;

  /** Send a message. Returns whether it was stored; if not, shows why. */
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
    // InvalidInput, RateLimited and the other errors have a `message` for users. After ConversationBusy the cache
    // reloads the conversation, and this page follows the answer that another device has started.
    setProblem(sent?.message ?? `${error?.message}. Send the message again; it is answered once.`);
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
            // Follow the running answer, also after a refresh or on another device.
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
