import { useState, type ChangeEvent, type ClipboardEvent, type DragEvent } from "react";
import type { Draft } from "./drafts";
import { problemOf, type Problem } from "./problems";
import { upload } from "./uploads";

/** Attach files by the button, by drop or by paste. Each is uploaded at once. `onChange`: files were added or removed, or an upload failed. */
export function useFiles(setDraft: (next: (now: Draft) => Draft) => void, onChange: () => void) {
  const [running, setRunning] = useState(0);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [over, setOver] = useState(false);
  function add(list: FileList | null) {
    const added = Array.from(list ?? []);
    if (added.length === 0) return false;
    onChange();
    setProblem(null);
    setRunning((count) => count + added.length);
    for (const file of added) {
      upload(file)
        .then((uploaded) => setDraft((now) => ({ ...now, files: [...now.files, uploaded] })))
        .catch((error: unknown) => {
          onChange();
          setProblem(problemOf(error instanceof Error ? error.message : String(error)));
        })
        .finally(() => setRunning((count) => count - 1));
    }
    return true;
  }
  return {
    running,
    problem,
    over,
    remove(id: string) {
      onChange();
      setDraft((now) => ({ ...now, files: now.files.filter((file) => file.id !== id) }));
    },
    pick(event: ChangeEvent<HTMLInputElement>) {
      add(event.target.files);
      event.target.value = "";
    },
    paste(event: ClipboardEvent) {
      if (add(event.clipboardData.files)) event.preventDefault();
    },
    dropping: {
      onDragOver(event: DragEvent) {
        event.preventDefault();
        setOver(true);
      },
      onDragLeave: () => setOver(false),
      onDrop(event: DragEvent) {
        event.preventDefault();
        setOver(false);
        add(event.dataTransfer.files);
      },
    },
  };
}
