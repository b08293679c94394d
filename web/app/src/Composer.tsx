import { useEffect, useRef, useState, type ClipboardEvent, type DragEvent, type KeyboardEvent } from "react";
import { Icon } from "./Icon";
import { EMPTY, useDraft, type Draft } from "./drafts";
import { opened } from "./artifacts";
import { t } from "./messages";
import { Options } from "./Options";
import { problemOf, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";
import { ACCEPTED_TYPES, upload } from "./uploads";
import type { Picker } from "./usePicker";
import { hasScreenKeyboard } from "./viewport";

interface Props {
  /** The key of the draft: each conversation has its own. */
  readonly draftKey: string;
  readonly busy: boolean;
  /** What users can choose for the next message; null until it is known. */
  readonly picker: Picker | null;
  /** Whether the new conversation is temporary; null once it has a message. */
  readonly temporary: { on: boolean; set: (on: boolean) => void } | null;
  readonly onSend: (draft: Draft) => void;
  readonly onStop: () => Promise<void>;
}

export function Composer({ draftKey, busy, picker, temporary, onSend, onStop }: Props) {
  const [draft, setDraft] = useDraft(draftKey);
  const field = useRef<HTMLTextAreaElement>(null);
  const files = useFiles(setDraft);
  const ready = (draft.text.trim() !== "" || draft.files.length > 0) && files.running === 0 && !picker?.changing;
  useEffect(() => {
    if (!hasScreenKeyboard()) field.current?.focus();
  }, [draftKey]);
  function send() {
    if (!ready) return;
    onSend(draft);
    setDraft(EMPTY);
    if (!hasScreenKeyboard()) field.current?.focus();
  }
  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape") {
      if (busy) void onStop();
      else opened.set(null);
    } else if (event.key === "ArrowUp" && draft.text === "") {
      // Edit the user's last message.
      Array.from(document.querySelectorAll<HTMLElement>("li.user .edit")).at(-1)?.click();
    }
  }
  return (
    <form
      className="composer"
      data-over={files.over}
      {...files.dropping}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <ProblemNotice problem={files.problem} />
      <Files files={draft.files} running={files.running} onRemove={files.remove} />
      <label htmlFor="text" className="hidden">{t("composer.label")}</label>
      <textarea
        id="text"
        dir="auto"
        ref={field}
        rows={1}
        value={draft.text}
        placeholder={t(busy ? "composer.placeholderBusy" : "composer.placeholder")}
        onChange={(event) => setDraft({ ...draft, text: event.target.value })}
        onKeyDown={onKeyDown}
        onPaste={files.paste}
      />
      <div className="bar">
        <label className="quiet attach" title={t("composer.attach")}>
          <Icon name="clip" />
          <span className="hidden">{t("composer.attach")}</span>
          <input type="file" className="hidden" multiple accept={ACCEPTED_TYPES} onChange={files.pick} />
        </label>
        <div className="options">
          {picker && <Options picker={picker} busy={busy} />}
          {picker && temporary && (
            <label className="check" title={t("composer.temporaryHint")}>
              <input type="checkbox" checked={temporary.on} onChange={({ target }) => temporary.set(target.checked)} />
              {t("common.temporary")}
            </label>
          )}
        </div>
        {busy && (
          <button type="button" className="plain" data-stop onClick={() => void onStop()} title={t("composer.stopKey")}>
            <Icon name="stop" /> {t("composer.stop")}
          </button>
        )}
        <button type="submit" className="loud" disabled={!ready} aria-label={t("common.send")}>
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}

interface FilesProps {
  readonly files: Draft["files"];
  readonly running: number;
  readonly onRemove: (id: string) => void;
}

function Files({ files, running, onRemove }: FilesProps) {
  if (files.length === 0 && running === 0) return null;
  return (
    <ul className="files" aria-label={t("composer.attachments")}>
      {files.map((file) => (
        <li key={file.id}>
          <Icon name={file.width === null ? "file" : "image"} /> {file.filename}
          <button type="button" className="quiet" aria-label={t("composer.remove", { name: file.filename })} onClick={() => onRemove(file.id)}>
            <Icon name="close" />
          </button>
        </li>
      ))}
      {running > 0 && <li role="status">{t("composer.uploading", { count: running })}</li>}
    </ul>
  );
}

/** Attach files by the button, by drop or by paste. Each is uploaded at once. */
function useFiles(setDraft: (next: (now: Draft) => Draft) => void) {
  const [running, setRunning] = useState(0);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [over, setOver] = useState(false);
  function add(list: FileList | null) {
    const added = Array.from(list ?? []);
    if (added.length === 0) return false;
    setProblem(null);
    setRunning((count) => count + added.length);
    for (const file of added) {
      upload(file)
        .then((uploaded) => setDraft((now) => ({ ...now, files: [...now.files, uploaded] })))
        .catch((error: unknown) => setProblem(problemOf(error instanceof Error ? error.message : String(error))))
        .finally(() => setRunning((count) => count - 1));
    }
    return true;
  }
  return {
    running,
    problem,
    over,
    remove: (id: string) => setDraft((now) => ({ ...now, files: now.files.filter((file) => file.id !== id) })),
    pick(event: React.ChangeEvent<HTMLInputElement>) {
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
