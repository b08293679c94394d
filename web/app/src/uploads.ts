import { TertuliaError, type TertuliaClient } from "@tertulia/react";
import { changeDraft, waiting } from "./drafts";
import { t } from "./messages";
import { subject } from "./session";
import { store } from "./store";

/** An upload that has not ended. Its draft changes when a new conversation gets its id. */
interface Upload {
  draftKey: string;
}

export const uploads = store<readonly Upload[]>([]);

/** Upload a file, and attach it to a draft. Throws an `Error` with what to show if the upload fails. */
export async function attach(client: TertuliaClient, file: File, draftKey: string): Promise<void> {
  const started: Upload = { draftKey };
  const owner = subject();
  uploads.set([...uploads.get(), started]);
  try {
    const uploaded = await client.upload(file);
    // The user may have signed out meanwhile, or a host application's user has become known.
    if (subject() === owner || owner === "local") changeDraft(started.draftKey, (now) => ({ ...now, files: [...now.files, uploaded] }));
  } catch (error) {
    if (waiting.get()?.key === started.draftKey) waiting.set(null);
    throw new Error(reason(file.name, error));
  } finally {
    uploads.set(uploads.get().filter((other) => other !== started));
  }
}

export function moveNewUploads(id: string): void {
  for (const started of uploads.get()) if (started.draftKey === "new") started.draftKey = id;
}

/** Return what to show after an upload has failed. */
function reason(name: string, error: unknown): string {
  if (!(error instanceof TertuliaError)) return String(error);
  if (error.code === "UNREACHABLE") return t("problem.upload", { name });
  return t("problem.uploadRefused", { name, problem: error.message || t("problem.fileRefused") });
}
