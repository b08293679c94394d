import { at } from "./base";
import type { FileFragment } from "./operations";
import { authorization } from "./session";

/** What the server takes (docs/messages-api.md): images and PDFs. */
export const TAKEN = "image/png,image/jpeg,image/gif,image/webp,application/pdf";

interface Uploaded {
  readonly id: string;
  readonly filename: string;
  readonly media_type: string;
  readonly size_bytes: number;
  readonly url: string;
  readonly width: number | null;
  readonly height: number | null;
  readonly pages: number | null;
}

/** Upload a file of the viewer's; raise an Error with the server's sentence. */
export async function upload(file: File): Promise<FileFragment> {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  const sent = { method: "POST", body: form, headers: await authorization() };
  const response = await fetch(at("attachments"), sent).catch(() => null);
  if (!response) throw new Error(`${file.name} did not reach the server. Try again.`);
  const said: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new Error(`${file.name}: ${reason(said)}`);
  const made = said as Uploaded;
  const { id, filename, url, width, height, pages } = made;
  return { id, filename, url, width, height, pages, mediaType: made.media_type, sizeBytes: made.size_bytes };
}

function reason(said: unknown): string {
  const { error } = (said ?? {}) as { error?: { message?: string } };
  return error?.message ?? "the server did not take it.";
}
