import { useState } from "react";
import { Icon } from "./Icon";
import type { ConversationQuery } from "./operations";
import { serverInfo } from "./serverInfo";
import { SettingsDialog, type SettingsProps } from "./Settings";
import { ShareDialog } from "./Share";
import { useStore } from "./store";
import { dollars, tokens } from "./words";

interface Props extends Omit<SettingsProps, "onClose"> {
  readonly conversation: NonNullable<ConversationQuery["conversation"]>;
}

/** The conversation's title, assistant, model and cost, and how much of the context window is in use. */
export function Header({ conversation, start, onProblem }: Props) {
  const [open, setOpen] = useState(false);
  const [sharing, setSharing] = useState(false);
  const server = useStore(serverInfo);
  const { usage, context } = conversation;
  const cost = dollars(usage.costUsd);
  return (
    <header className="head">
      <h1 dir="auto">{conversation.title ?? "New conversation"}</h1>
      {conversation.temporary && <small>Temporary</small>}
      {conversation.assistant && (
        <small className="who"><span className="hidden">Assistant: </span>{conversation.assistant.name}</small>
      )}
      <small>
        {conversation.model.displayName}
        {cost && <>, <span title="Total cost of this conversation">{cost}</span></>}
      </small>
      {context.limit !== null && context.usedTokens > 0 && (
        <meter
          min={0}
          max={context.limit}
          value={context.usedTokens}
          title={`${tokens(context.usedTokens)} of ${tokens(context.limit)} tokens of the context window`}
          aria-label="Context window in use"
        />
      )}
      {server?.sharing && (
        <button type="button" className="quiet" onClick={() => setSharing(true)} aria-label="Share" title="Share">
          <Icon name="share" />
        </button>
      )}
      {sharing && <ShareDialog id={conversation.id} onClose={() => setSharing(false)} />}
      <button type="button" className="quiet" onClick={() => setOpen(true)} aria-label="Conversation settings" title="Settings">
        <Icon name="settings" />
      </button>
      {open && (
        <SettingsDialog conversation={conversation} start={start} onClose={() => setOpen(false)} onProblem={onProblem} />
      )}
    </header>
  );
}
