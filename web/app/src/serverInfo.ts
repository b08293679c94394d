import { fetchServerInfo, type ServerInfo } from "./session";
import { store } from "./store";

/** What the server offers; null until it is known. */
export const serverInfo = store<ServerInfo | null>(null);

export async function loadServerInfo(): Promise<void> {
  serverInfo.set(await fetchServerInfo());
}
