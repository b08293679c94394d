import { at } from "./base";
import type { FileFragment } from "./operations";
import { authorization } from "./session";

/** The types that the server accepts (docs/messages-api.md): images and PDFs. */
export const ACCEPTED_TYPES = "image/png,image/jpeg,image/gif,image/webp,application/pdf";

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

/** Upload a file. Throws an `Error` with the server's message if the upload fails. */
export async function upload(file: File): Promise<FileFragment> {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  const sent = { method: "POST", body: form, headers: await authorization() };
  const response = await fetch(at("attachments"), sent).catch(() => null);
  if (!response) throw new Error(`${file.name} could not be uploaded: the server cannot be reached. Try again.`);
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new Error(`${file.name}: ${reason(body)}`);
  const uploaded = body as Uploaded;
  const { id, filename, url, width, height, pages } = uploaded;
  return { id, filename, url, width, height, pages, mediaType: uploaded.media_type, sizeBytes: uploaded.size_bytes };
}

function reason(body: unknown): string {
  const { error } = (body ?? {}) as { error?: { message?: string } };
  return error?.message ?? "the server refused the file.";
}
