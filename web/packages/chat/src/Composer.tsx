import { ACCEPTED_TYPES, useUpload, type Draft } from "@tertulia/react";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useTexts } from "./Chat.tsx";
import { named } from "./texts.ts";

interface Props {
  /** Whether an answer is being written. */
  readonly busy: boolean;
  readonly onSend: (draft: Draft) => void;
  readonly onStop: () => void;
}

/** The field for a message, with its files. Enter sends, Shift+Enter begins a line, Escape stops the answer. */
export function Composer({ busy, onSend, onStop }: Props) {
  const texts = useTexts();
  const [text, setText] = useState("");
  const uploads = useUpload();
  const field = useRef<HTMLTextAreaElement>(null);
  const ready = uploads.running === 0 && (text.trim() !== "" || uploads.files.length > 0);
  useEffect(() => {
    if (!field.current) return;
    // The field grows with its text, up to the height in style.css.
    field.current.rows = Math.min(text.split("\n").length, 8);
  }, [text]);
  function send() {
    if (!ready) return;
    onSend({ text, files: uploads.files });
    setText("");
    uploads.clear();
    field.current?.focus();
  }
  function onKeyDown(event: KeyboardEvent) {
    const composing = event.nativeEvent?.isComposing ?? (event as unknown as globalThis.KeyboardEvent).isComposing;
    if (composing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && busy) {
      onStop();
    }
  }
  /** Upload the files of a paste or a drop. */
  function take(event: { preventDefault(): void }, files: FileList | undefined) {
    if (!files || files.length === 0) return;
    event.preventDefault();
    uploads.add(files);
  }
  return (
    <form
      part="composer"
      onSubmit={(event) => { event.preventDefault(); send(); }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => take(event, event.dataTransfer?.files)}
    >
      {(uploads.files.length > 0 || uploads.running > 0) && (
        <ul className="files">
          {uploads.files.map(({ id, filename }) => (
            <li key={id}>
              {filename} <button type="button" className="quiet" aria-label={named(texts.remove, filename)} onClick={() => uploads.remove(id)}>×</button>
            </li>
          ))}
          {uploads.running > 0 && <li role="status">{texts.uploading}</li>}
        </ul>
      )}
      {uploads.error && <p className="problem" role="alert">{uploads.error.code === "UNREACHABLE" ? texts.unreachable : uploads.error.message}</p>}
      <textarea
        ref={field}
        part="input"
        dir="auto"
        rows={1}
        value={text}
        aria-label={texts.label}
        placeholder={texts.placeholder}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={onKeyDown}
        onPaste={(event) => take(event, event.clipboardData?.files)}
      />
      <div className="bar">
        <label className="quiet" title={texts.attach}>
          <span aria-hidden="true">＋</span>
          <span className="hidden">{texts.attach}</span>
          <input
            type="file"
            className="hidden"
            multiple
            accept={ACCEPTED_TYPES}
            onChange={({ currentTarget }) => {
              uploads.add(Array.from(currentTarget.files ?? []));
              currentTarget.value = "";
            }}
          />
        </label>
        {busy && <button type="button" className="plain" part="stop" onClick={onStop}>{texts.stop}</button>}
        <button type="submit" className="loud" part="send" disabled={!ready}>{texts.send}</button>
      </div>
    </form>
  );
}
