import { at } from "./base";
import { changeDraft, waiting } from "./drafts";
import { t } from "./messages";
import type { FileFragment } from "./operations";
import { authorization, subject } from "./session";
import { store } from "./store";

/** What file pickers offer (docs/attachments.md). The server decides by content, and refuses other files with a reason. */
export const ACCEPTED_TYPES = [
  "image/png,image/jpeg,image/gif,image/webp,image/heic,image/heif,image/avif,image/tiff,image/bmp",
  "application/pdf,text/*,application/json,application/xml,application/rtf,application/epub+zip,message/rfc822",
  ".docx,.docm,.odt,.rtf,.epub,.pptx,.pptm,.odp,.xlsx,.xlsm,.xlsb,.xls,.ods,.csv,.tsv,.eml,.heic,.ipynb,.md,.txt",
  ".c,.cc,.cpp,.cs,.css,.go,.graphql,.h,.hpp,.ini,.java,.js,.jsx,.json,.jsonl,.kt,.log,.lua,.php,.pl,.py,.r,.rb,.rs",
  ".scala,.sh,.sql,.srt,.svg,.swift,.tex,.toml,.ts,.tsx,.vue,.xml,.yaml,.yml",
].join(",");

/** An upload that has not ended. Its draft changes when a new conversation gets its id. */
interface Upload {
  draftKey: string;
}

export const uploads = store<readonly Upload[]>([]);

/** Upload a file, and attach it to a draft. Throws an `Error` with the server's message if the upload fails. */
export async function attach(file: File, draftKey: string): Promise<void> {
  const started: Upload = { draftKey };
  const owner = subject();
  uploads.set([...uploads.get(), started]);
  try {
    const uploaded = await upload(file);
    // The user may have signed out meanwhile, or a host application's user has become known.
    if (subject() === owner || owner === "local") changeDraft(started.draftKey, (now) => ({ ...now, files: [...now.files, uploaded] }));
  } catch (error) {
    if (waiting.get()?.key === started.draftKey) waiting.set(null);
    throw error;
  } finally {
    uploads.set(uploads.get().filter((other) => other !== started));
  }
}

export function moveNewUploads(id: string): void {
  for (const started of uploads.get()) if (started.draftKey === "new") started.draftKey = id;
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

async function upload(file: File): Promise<FileFragment> {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  const sent = { method: "POST", body: form, headers: await authorization() };
  const response = await fetch(at("attachments"), sent).catch(() => null);
  if (!response) throw new Error(t("problem.upload", { name: file.name }));
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new Error(t("problem.uploadRefused", { name: file.name, problem: reason(body) }));
  const uploaded = body as Uploaded;
  const { id, filename, url, width, height, pages } = uploaded;
  const { media_type: mediaType, size_bytes: sizeBytes, converted_url: convertedUrl } = uploaded;
  return { id, filename, url, convertedUrl, width, height, pages, mediaType, sizeBytes };
}

function reason(body: unknown): string {
  const { error } = (body ?? {}) as { error?: { message?: string } };
  return error?.message ?? t("problem.fileRefused");
}
