import { useSubscription } from "@apollo/client/react";
import { apply, ended, initial, type Block } from "@tertulia/stream";
import { useReducer } from "react";
import { FollowDocument, type MessagesFragment } from "./operations";

/** A complete message. */
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
 * The subscription begins with a snapshot of the text so far, also when graphql-ws subscribes again after a lost
 * connection. `apply` needs no special case for it.
 *
 * The last event contains the ended generation. The cache stores it, and the conversation shows the stored message.
 */
export function Answer({ generationId }: { generationId: string }) {
  const [state, dispatch] = useReducer(apply, initial);
  const { error } = useSubscription(FollowDocument, {
    variables: { generationId },
    onData: ({ data: { data } }) => data && dispatch(data.generationEvents),
  });
  return (
    <li data-role="assistant" aria-busy={!ended(state)}>
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
