import type Markdown from "./Markdown";
import { store } from "./store";

interface Renderer {
  /** Whether the attempt to load the renderer has ended. */
  readonly settled: boolean;
  /** The renderer; null if it is not loaded, and texts are shown as they are. */
  readonly component: typeof Markdown | null;
}

/** The renderer of Markdown. It is not part of the first chunk, so that a new conversation can be drawn before it is loaded. */
export const renderer = store<Renderer>({ settled: false, component: null });

export async function loadRenderer(): Promise<void> {
  const component = await import("./Markdown").then((module) => module.default, () => null);
  renderer.set({ settled: true, component });
}
