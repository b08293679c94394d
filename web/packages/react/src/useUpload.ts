import { useCallback, useRef, useState } from "react";
import { TertuliaError } from "./errors.ts";
import { useTertulia } from "./provider.tsx";
import type { Attachment } from "./upload.ts";

export interface Uploads {
  /** The files that are uploaded, for `useSend`. */
  readonly files: readonly Attachment[];
  /** The number of uploads that have not ended. */
  readonly running: number;
  /** Why the last upload failed. */
  readonly error: TertuliaError | null;
  /** Upload files. Each is uploaded at once. */
  readonly add: (files: Iterable<File>) => void;
  /** Remove a file by its id. */
  readonly remove: (id: string) => void;
  /** Remove all files, and cancel the uploads, such as after sending. */
  readonly clear: () => void;
}

/** Upload the files of a message that is being written. */
export function useUpload(): Uploads {
  const client = useTertulia();
  const [files, setFiles] = useState<readonly Attachment[]>([]);
  const [running, setRunning] = useState(0);
  const [error, setError] = useState<TertuliaError | null>(null);
  const cancel = useRef(new AbortController());
  const add = useCallback((added: Iterable<File>) => {
    setError(null);
    const { signal } = cancel.current;
    for (const file of added) {
      setRunning((count) => count + 1);
      void client.upload(file, { signal })
        .then((uploaded) => { if (!signal.aborted) setFiles((now) => [...now, uploaded]); })
        .catch((reason: unknown) => { if (reason instanceof TertuliaError) setError(reason); })
        .finally(() => setRunning((count) => count - 1));
    }
  }, [client]);
  const remove = useCallback((id: string) => setFiles((now) => now.filter((file) => file.id !== id)), []);
  const clear = useCallback(() => {
    cancel.current.abort();
    cancel.current = new AbortController();
    setFiles([]);
    setError(null);
  }, []);
  return { files, running, error, add, remove, clear };
}
