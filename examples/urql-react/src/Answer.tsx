import { apply, ended, initial, type Block, type State } from "@tertulia/stream";
import { useEffect } from "react";
import { useSubscription } from "urql";
import { FollowDocument, type FollowSubscription, type MessageFragment } from "./operations";

/** A complete message. */
export function Message({ message: { role, content, generation } }: { message: MessageFragment }) {
  return (
    <li data-role={role.toLowerCase()} aria-busy={false}>
      <Blocks blocks={content} />
      {generation?.status === "STOPPED" && <p className="note">Stopped.</p>}
      {generation?.error && <p role="alert">{generation.error.message}</p>}
    </li>
  );
}

const fold = (state: State = initial, { generationEvents }: FollowSubscription) => apply(state, generationEvents);

/**
 * An answer that is being written.
 *
 * The subscription begins with a snapshot of the text so far, also when graphql-ws subscribes again after a lost
 * connection. `apply` needs no special case for it.
 *
 * After the last event the complete message is stored, and `onEnd` reloads the conversation.
 */
export function Answer({ generationId, onEnd }: { generationId: string; onEnd(): void }) {
  const [{ data: state = initial, error }] = useSubscription(
    { query: FollowDocument, variables: { generationId } },
    fold,
  );
  const over = ended(state);
  useEffect(() => {
    if (over) onEnd();
  }, [over, onEnd]);

  return (
    <li data-role="assistant" aria-busy={!over}>
      <Blocks blocks={state.blocks} />
      {state.waits && <p className="note">Claude is waiting for a tool call that this page cannot answer.</p>}
      {error && <p role="alert">{error.message}</p>}
    </li>
  );
}

function Blocks({ blocks }: { blocks: readonly (Block | null)[] }) {
  return blocks.map((block, index) => {
    switch (block?.__typename) {
      case "TextBlock":
      case "JsonBlock":
        return <span key={index}>{block.text}</span>;
      case "ThinkingBlock":
        return (
          <details key={index}>
            <summary>Thinking</summary>
            {block.text}
          </details>
        );
      case "ToolUseBlock":
        return (
          <p key={index} className="note">
            Claude called {block.name}.
          </p>
        );
      default:
        return null;
    }
  });
}
