import { useEffect, useState } from "react";
import { useMutation } from "urql";
import { ConnectToolServerDocument } from "./operations";
import { t, type MessageKey } from "./messages";
import { settingsAddress } from "./route";
import { mutationProblem, problemOf, type Problem } from "./problems";

const FAILURES: Readonly<Record<string, MessageKey>> = { denied: "tools.denied", expired: "tools.expired" };

/** What an authorization server has returned to this page, in the fragment of its address. */
interface Returned {
  readonly confirmation: string | null;
  readonly failure: string | null;
}

let returned = takeFromAddress();

/** Read the fragment, and remove it at once, so that neither the history nor a copied address contains the secret. */
function takeFromAddress(): Returned | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const confirmation = fragment.get("tool-connection");
  const error = fragment.get("tool-connection-error");
  if (!confirmation && !error) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return { confirmation, failure: error && t(FAILURES[error] ?? "tools.failed") };
}

export interface ConnectionNotice {
  readonly text: string;
  /** Why the connection failed; null if it succeeded. */
  readonly problem: Problem | null;
}

/** Finish the connection from which the user returns, and return what to show. `onConnected` is called if it succeeds. */
export function useReturnedConnection(onConnected: () => void): ConnectionNotice | null {
  const [, connect] = useMutation(ConnectToolServerDocument);
  const [notice, setNotice] = useState<ConnectionNotice | null>(null);
  async function finish({ confirmation, failure }: Returned) {
    if (failure || !confirmation) return setNotice({ text: "", problem: problemOf(failure ?? t("tools.failed")) });
    const result = await connect({ confirmation });
    const payload = result.data?.connectToolServer;
    if (payload?.__typename !== "ToolServerPayload") return setNotice({ text: "", problem: mutationProblem(result) });
    setNotice({ text: t("tools.now", { name: payload.toolServer.name }), problem: null });
    onConnected();
  }
  useEffect(() => {
    if (!returned) return;
    void finish(returned);
    returned = null;
  }, []);
  return notice;
}

/** Leave the page for the authorization server, which returns to the same conversation. */
export function authorize(url: string): void {
  location.assign(`${url}&return_to=${encodeURIComponent(settingsAddress(null))}`);
}
