import { door } from "./session";
import { store } from "./store";

/** Whether the server exports conversations: `TERTULIA_EXPORT=false` switches that off. */
export const exportable = store(true);

export async function askWhatIsOn(): Promise<void> {
  const { links } = await door();
  exportable.set("export" in links);
}
