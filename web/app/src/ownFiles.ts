import { authorization } from "./session";

/** Fetch a file of the viewer; null if the server refuses it or cannot be reached. */
export async function fetchFile(url: string): Promise<Blob | null> {
  const response = await fetch(url, { headers: await authorization() }).catch(() => null);
  return response?.ok ? response.blob() : null;
}

/** Download a file of the viewer. Return whether that succeeded. */
export async function saveFile(url: string, filename: string): Promise<boolean> {
  const content = await fetchFile(url);
  if (content) saveBlob(content, filename);
  return content !== null;
}

/** Download a file that the page made. */
export function saveBlob(content: Blob, filename: string): void {
  const href = URL.createObjectURL(content);
  Object.assign(document.createElement("a"), { href, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
