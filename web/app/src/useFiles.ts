import { useTertulia } from "@tertulia/react";
import { useState, type ChangeEvent, type ClipboardEvent, type DragEvent } from "react";
import type { Draft } from "./drafts";
import { problemOf, type Problem } from "./problems";
import { useStore } from "./store";
import { attach, uploads } from "./uploads";

/** Attach files by the button, by drop or by paste. Each is uploaded at once. `onChange` is called when files are added or removed. */
export function useFiles(draftKey: string, setDraft: (next: (now: Draft) => Draft) => void, onChange: () => void) {
  const running = useStore(uploads).filter((upload) => upload.draftKey === draftKey).length;
  const client = useTertulia();
  const [problem, setProblem] = useState<Problem | null>(null);
  const [over, setOver] = useState(false);
  function add(list: FileList | null) {
    const added = Array.from(list ?? []);
    if (added.length === 0) return false;
    onChange();
    setProblem(null);
    for (const file of added) {
      attach(client, file, draftKey).catch((error: unknown) => setProblem(problemOf(error instanceof Error ? error.message : String(error))));
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
