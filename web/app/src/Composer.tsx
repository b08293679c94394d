import { ACCEPTED_TYPES } from "@tertulia/react";
import { useEffect, useRef, type KeyboardEvent } from "react";
import { Icon } from "./Icon";
import { EMPTY, useDraft, waiting, type Draft } from "./drafts";
import { opened } from "./artifacts";
import { t } from "./messages";
import { Options } from "./Options";
import { ProblemNotice } from "./ProblemNotice";
import { subject } from "./session";
import { useStore } from "./store";
import { useFiles } from "./useFiles";
import type { Picker } from "./usePicker";
import { hasScreenKeyboard } from "./viewport";

interface Props {
  /** The key of the draft: each conversation has its own. */
  readonly draftKey: string;
  readonly busy: boolean;
  /** What users can choose for the next message; null until it is known. */
  readonly picker: Picker | null;
  /** Whether a message must wait until the choices are known. */
  readonly choosing: boolean;
  /** Whether the new conversation is temporary; null once it has a message. */
  readonly temporary: { on: boolean; set: (on: boolean) => void } | null;
  readonly onSend: (draft: Draft) => void;
  readonly onStop: () => Promise<void>;
}

export function Composer({ draftKey, busy, picker, choosing, temporary, onSend, onStop }: Props) {
  const [draft, setDraft] = useDraft(draftKey);
  const field = useRef<HTMLTextAreaElement>(null);
  const waits = useStore(waiting) !== null;
  const keep = () => waiting.set(null);
  const files = useFiles(draftKey, setDraft, keep);
  const empty = draft.text.trim() === "" && draft.files.length === 0 && files.running === 0;
  const ready = files.running === 0 && !picker?.changing && !choosing;
  const assistantId = picker?.assistants?.id;
  useEffect(() => {
    if (!hasScreenKeyboard()) field.current?.focus();
  }, [draftKey]);
  useEffect(() => {
    const asked = waiting.get();
    if (!asked) return;
    // Another conversation or user is here, or the server has refused the assistant.
    if (asked.key !== draftKey || asked.owner !== subject() || (asked.assistantId && asked.assistantId !== assistantId)) keep();
    else if (ready) send();
  });
  function send() {
    if (empty) return;
    if (ready) {
      onSend(draft);
      setDraft(EMPTY);
    }
    waiting.set(ready ? null : { key: draftKey, owner: subject(), assistantId });
    if (!hasScreenKeyboard()) field.current?.focus();
  }
  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape") {
      if (waits) keep();
      else if (busy) void onStop();
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
      {waits && <p className="waiting" role="status">{t("composer.waiting")}</p>}
      <label htmlFor="text" className="hidden">{t("composer.label")}</label>
      <textarea
        id="text"
        dir="auto"
        ref={field}
        rows={1}
        value={draft.text}
        placeholder={t(busy ? "composer.placeholderBusy" : "composer.placeholder")}
        onChange={({ target }) => {
          keep();
          setDraft((now) => ({ ...now, text: target.value }));
        }}
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
        <button type="submit" className="loud" disabled={empty} aria-label={t("common.send")}>
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
