import { useSubscription } from "@apollo/client/react";
import { apply, ended, initial, type Block } from "@tertulia/stream";
import { useReducer } from "react";
import { FollowDocument, type MessagesFragment } from "./operations";

/** A message that is whole. */
export function Message({ message }: { message: MessagesFragment["edges"][number]["node"] }) {
  const { role, content, generation } = message;
  return (
    <li data-role={role.toLowerCase()} aria-busy={false}>
      <Blocks blocks={content} />
      {generation?.status === "STOPPED" && <p className="note">Stopped.</p>}
      {generation?.error && <p role="alert">{generation.error.message}</p>}
    </li>
  );
}

/**
 * An answer that is being written.
 *
 * The subscription begins with a snapshot of all that is there. So it does when graphql-ws subscribes again behind a
 * lost socket: `apply` is then right without a word about it.
 *
 * The last event brings the ended generation, which the cache takes in: the conversation then shows the stored message.
 */
export function Answer({ generationId }: { generationId: string }) {
  const [state, take] = useReducer(apply, initial);
  const { error } = useSubscription(FollowDocument, {
    variables: { generationId },
    onData: ({ data: { data } }) => data && take(data.generationEvents),
  });
  return (
    <li data-role="assistant" aria-busy={!ended(state)}>
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
