import { TertuliaError, UNREACHABLE } from "./errors.ts";
import type { FileFragment } from "./operations.ts";

/** A file that was uploaded. */
export type Attachment = FileFragment;

export interface UploadOptions {
  /** Cancels the upload. */
  readonly signal?: AbortSignal;
}

interface Uploaded {
  readonly id: string;
  readonly filename: string;
  readonly media_type: string;
  readonly size_bytes: number;
  readonly url: string;
  readonly converted_url: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly pages: number | null;
}

/** What file pickers offer. The server decides by content, and refuses other files with a reason. */
export const ACCEPTED_TYPES = [
  "image/png,image/jpeg,image/gif,image/webp,image/heic,image/heif,image/avif,image/tiff,image/bmp",
  "application/pdf,text/*,application/json,application/xml,application/rtf,application/epub+zip,message/rfc822",
  ".docx,.docm,.odt,.rtf,.epub,.pptx,.pptm,.odp,.xlsx,.xlsm,.xlsb,.xls,.ods,.csv,.tsv,.eml,.heic,.ipynb,.md,.txt",
  ".c,.cc,.cpp,.cs,.css,.go,.graphql,.h,.hpp,.ini,.java,.js,.jsx,.json,.jsonl,.kt,.log,.lua,.php,.pl,.py,.r,.rb,.rs",
  ".scala,.sh,.sql,.srt,.svg,.swift,.tex,.toml,.ts,.tsx,.vue,.xml,.yaml,.yml",
].join(",");

/** Upload a file by `send`. Rejects with a `TertuliaError`: `UNREACHABLE`, or `FILE_REFUSED` with the server's reason. */
export async function uploadFile(file: File, send: (init: RequestInit) => Promise<Response>, { signal }: UploadOptions = {}): Promise<Attachment> {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  const response = await send({ method: "POST", body: form, ...(signal && { signal }) });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new TertuliaError({ ...UNREACHABLE, code: "FILE_REFUSED", message: reason(body) });
  const { id, filename, url, width, height, pages, ...others } = body as Uploaded;
  const { media_type: mediaType, size_bytes: sizeBytes, converted_url: convertedUrl } = others;
  return { id, filename, url, convertedUrl, width, height, pages, mediaType, sizeBytes };
}

function reason(body: unknown): string {
  const { error } = (body ?? {}) as { error?: { message?: string } };
  return error?.message ?? "";
}
