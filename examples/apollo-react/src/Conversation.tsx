import { skipToken, useMutation, useQuery } from "@apollo/client/react";
import { useRef, useState } from "react";
import { Answer, Message } from "./Answer";
import { Composer } from "./Composer";
import { ConversationDocument, EarlierDocument, SendDocument, StopDocument } from "./operations";

/** The conversation of the page's address, `?c=ID`, or a new one. */
export function Conversation() {
  const [id, setId] = useState(() => new URLSearchParams(location.search).get("c"));
  const view = useRef<HTMLElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const { data, error, fetchMore } = useQuery(ConversationDocument, id ? { variables: { id } } : skipToken);
  const [sendMessage] = useMutation(SendDocument);
  const [stopGeneration] = useMutation(StopDocument);

  const conversation = data?.conversation;
  const active = conversation?.activeGeneration?.id;
  const gone = conversation === null ? "This conversation is not here any more." : null;
  const trouble = problem ?? error?.message ?? gone;

  /** Gives whether the message is on its way; if not, says why. */
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
      // InvalidInput, RateLimited, ConversationBusy, ...: each says what is wrong, in a sentence.
      setProblem(sent?.message ?? null);
    } catch (failure) {
      setProblem(`${(failure as Error).message}. Send it again: it is answered once.`);
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
            // What is being written is followed, also by a page that was refreshed or opened elsewhere.
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
