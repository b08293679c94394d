import type { Description } from "./codeBlocks";
import { store } from "./store";

/** What can be opened beside the conversation: a code block of an answer, or a file. */
export interface Artifact extends Description {
  readonly element: HTMLElement;
  /** The code; null for a file. */
  readonly code: string | null;
  /** The address of a file; null for code. */
  readonly url: string | null;
}

/** The artifacts that the page shows. */
export const shown = store<readonly Artifact[]>([]);
/** The artifact in the panel. */
export const opened = store<Artifact | null>(null);

/** Return the versions of an artifact: what the conversation contains with its title and language, the oldest first. */
export function versionsOf(artifact: Artifact, all: readonly Artifact[]): readonly Artifact[] {
  return all.filter((other) => isVersion(other, artifact)).sort((one, other) => (precedes(one, other) ? -1 : 1));
}

/** Add an artifact while the page shows it. A panel that shows its newest version shows this one then. */
export function register(artifact: Artifact): () => void {
  shown.set([...shown.get(), artifact]);
  const before = opened.get();
  if (before && isVersion(artifact, before) && replaces(artifact, before)) opened.set(artifact);
  return () => shown.set(shown.get().filter((other) => other !== artifact));
}

function isVersion(one: Artifact, other: Artifact): boolean {
  return one.title === other.title && one.language === other.language;
}

function replaces(artifact: Artifact, before: Artifact): boolean {
  // The same block was drawn again, for example because its answer has ended.
  if (!before.element.isConnected) return artifact.code === before.code && artifact.url === before.url;
  return versionsOf(artifact, shown.get()).slice(-2)[0] === before && precedes(before, artifact);
}

function precedes(one: Artifact, other: Artifact): boolean {
  return (one.element.compareDocumentPosition(other.element) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
}
