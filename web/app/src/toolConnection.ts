import { useEffect, useState } from "react";
import { useMutation } from "urql";
import { ConnectToolServerDocument } from "./operations";
import { complaint } from "./words";

const FAILURES: Readonly<Record<string, string>> = {
  denied: "You have not allowed the connection.",
  expired: "This attempt to connect has expired. Connect again.",
};

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
  return { confirmation, failure: error && (FAILURES[error] ?? "The connection failed. Try again later.") };
}

export interface ConnectionNotice {
  readonly text: string;
  readonly failed: boolean;
}

/** Finish the connection from which the user returns, and return what to show. `onConnected` is called if it succeeds. */
export function useReturnedConnection(onConnected: () => void): ConnectionNotice | null {
  const [, connect] = useMutation(ConnectToolServerDocument);
  const [notice, setNotice] = useState<ConnectionNotice | null>(null);
  async function finish({ confirmation, failure }: Returned) {
    if (failure || !confirmation) return setNotice({ text: failure ?? "", failed: true });
    const result = await connect({ confirmation });
    const payload = result.data?.connectToolServer;
    if (payload?.__typename !== "ToolServerPayload") return setNotice({ text: complaint(result) ?? "", failed: true });
    setNotice({ text: `You are connected to ${payload.toolServer.name}.`, failed: false });
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
  location.assign(`${url}&return_to=${encodeURIComponent(location.pathname + location.search)}`);
}
