import { skipToken, useMutation, useQuery } from "@apollo/client/react";
import { useRef, useState } from "react";
import { Answer, Message } from "./Answer";
import { Composer } from "./Composer";
import { ConversationDocument, EarlierDocument, SendDocument, StopDocument } from "./operations";

/** The conversation in the page's address, `?c=ID`, or a new one. */
export function Conversation() {
  const [id, setId] = useState(() => new URLSearchParams(location.search).get("c"));
  const view = useRef<HTMLElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const { data, error, fetchMore } = useQuery(ConversationDocument, id ? { variables: { id } } : skipToken);
  const [sendMessage] = useMutation(SendDocument);
  const [stopGeneration] = useMutation(StopDocument);

  const conversation = data?.conversation;
  const active = conversation?.activeGeneration?.id;
  const gone = conversation === null ? "This conversation no longer exists." : null;
  const trouble = problem ?? error?.message ?? gone;

  /** Send a message. Returns whether it was stored; if not, shows why. */
  async function send(text: string, idempotencyKey: string): Promise<boolean> {
    setProblem(null);
    try {
      const { data } = await sendMessage({ variables: { text, idempotencyKey, conversationId: id } });
      const sent = data?.sendMessage;
      if (sent?.__typename === "SendMessagePayload") {
        history.replaceState(null, "", `?c=${sent.conversation.id}`);
        setId(sent.conversation.id);
        view.current?.scrollTo(0, 0);
        return true;
      }
      // InvalidInput, RateLimited, ConversationBusy and the other errors have a `message` for users.
      setProblem(sent?.message ?? null);
    } catch (failure) {
      setProblem(`${(failure as Error).message}. Send the message again; it is answered once.`);
    }
    return false;
  }

  async function stop(generationId: string): Promise<void> {
    await stopGeneration({ variables: { generationId } }).catch((failure: Error) => setProblem(failure.message));
  }

  return (
    <main>
      <section ref={view}>
        {id && conversation?.messages.pageInfo.hasPreviousPage && (
          <button
            type="button"
            onClick={() =>
              void fetchMore({
                query: EarlierDocument,
                variables: { id, before: conversation.messages.pageInfo.startCursor },
              })
            }
          >
            Earlier messages
          </button>
        )}
        <ol aria-label="Messages">
          {conversation?.messages.edges.map(({ node }) =>
            // Follow the running answer, also after a refresh or on another device.
            node.generation && node.generation.id === active ? (
              <Answer key={node.id} generationId={node.generation.id} />
            ) : (
              <Message key={node.id} message={node} />
            ),
          )}
        </ol>
      </section>
      {trouble && <p role="alert">{trouble}</p>}
      <Composer send={send} stop={active ? () => stop(active) : null} />
    </main>
  );
}
