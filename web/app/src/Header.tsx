import { lazy, Suspense, useState } from "react";
import { Icon } from "./Icon";
import { dollars, number, t } from "./messages";
import type { ConversationQuery } from "./operations";
import { serverInfo } from "./serverInfo";
import type { SettingsProps } from "./Settings";
import { useStore } from "./store";

const SettingsDialog = lazy(() => import("./Settings"));
const ShareDialog = lazy(() => import("./Share"));

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
      <h1 dir="auto">{conversation.title ?? t("common.newConversation")}</h1>
      {conversation.temporary && <small>{t("common.temporary")}</small>}
      {conversation.assistant && (
        <small className="who"><span className="hidden">{t("header.assistant")}</span>{conversation.assistant.name}</small>
      )}
      <small className="model">
        {conversation.model.displayName}
        {cost && <>{t("common.comma")}<span title={t("header.cost")}>{cost}</span></>}
      </small>
      {context.limit !== null && context.usedTokens > 0 && (
        <meter
          min={0}
          max={context.limit}
          value={context.usedTokens}
          title={t("header.contextTokens", { used: number(context.usedTokens), limit: number(context.limit) })}
          aria-label={t("header.context")}
        />
      )}
      {server?.sharing && (
        <button type="button" className="quiet" onClick={() => setSharing(true)} aria-label={t("header.share")} title={t("header.share")}>
          <Icon name="share" />
        </button>
      )}
      {sharing && <Suspense><ShareDialog id={conversation.id} onClose={() => setSharing(false)} /></Suspense>}
      <button type="button" className="quiet" onClick={() => setOpen(true)} aria-label={t("header.settings")} title={t("common.settings")}>
        <Icon name="settings" />
      </button>
      {open && (
        <Suspense><SettingsDialog conversation={conversation} start={start} onClose={() => setOpen(false)} onProblem={onProblem} /></Suspense>
      )}
    </header>
  );
}
