import { apply, ended, initial, type Block, type State } from "@tertulia/stream";
import { useEffect } from "react";
import { useSubscription } from "urql";
import { FollowDocument, type FollowSubscription, type MessageFragment } from "./operations";

/** A message that is whole. */
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
 * The subscription begins with a snapshot of all that is there. So it does when graphql-ws subscribes again behind a
 * lost socket: `apply` is then right without a word about it.
 *
 * Behind the last event the message is stored, whole: `onEnd` reads the conversation again.
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
      {state.waits && <p className="note">Claude waits for a tool that this page does not have.</p>}
      {error && <p role="alert">{error.message}</p>}
    </li>
  );
}

function Blocks({ blocks }: { blocks: readonly (Block | null)[] }) {
  return blocks.map((block, place) => {
    switch (block?.__typename) {
      case "TextBlock":
      case "JsonBlock":
        return <span key={place}>{block.text}</span>;
      case "ThinkingBlock":
        return (
          <details key={place}>
            <summary>Thinking</summary>
            {block.text}
          </details>
        );
      case "ToolUseBlock":
        return (
          <p key={place} className="note">
            Claude calls {block.name}.
          </p>
        );
      default:
        return null;
    }
  });
}
