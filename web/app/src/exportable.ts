import { fetchServerInfo } from "./session";
import { store } from "./store";

/** Whether the server exports conversations: `TERTULIA_EXPORT=false` disables it. */
export const exportable = store(true);

export async function loadExportable(): Promise<void> {
  const { links } = await fetchServerInfo();
  exportable.set("export" in links);
}
