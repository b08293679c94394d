import { createOutbox } from "@tertulia/react";
import { expectEnd } from "./announce";
import { moveNewDraft } from "./drafts";
import { t } from "./messages";
import { currentId, show } from "./route";
import { hostUser, session, subject } from "./session";
import { toast } from "./toasts";
import { moveNewUploads } from "./uploads";

const storageKey = () => `tertulia:outbox:${subject()}`;

/** The messages of the signed-in user on their way to the server. They survive a refresh. */
export const outbox = createOutbox({
  storageKey,
  isShown: (id) => currentId() === id,
  onSent({ conversationId, generationId }, { to }) {
    expectEnd(generationId);
    if (to || currentId() !== null) return;
    moveNewUploads(conversationId);
    moveNewDraft(conversationId);
    show(conversationId);
  },
  onDelivered: (count) => toast(t("notice.backOnline", { count })),
});

session.subscribe(outbox.load);
hostUser.subscribe(() => {
  localStorage.removeItem("tertulia:outbox:local");
  outbox.load();
});
addEventListener("storage", ({ key }) => key === storageKey() && outbox.load());
