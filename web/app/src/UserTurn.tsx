import { newKey } from "@tertulia/react";
import { useRef, useState } from "react";
import { useMutation } from "urql";
import { expectEnd } from "./announce";
import { Attachment } from "./Attachment";
import { isAttached } from "./Blocks";
import { Branches } from "./Branches";
import { CopyButton } from "./CopyButton";
import { EMPTY, useDraft } from "./drafts";
import { Icon } from "./Icon";
import { t } from "./messages";
import { EditDocument } from "./operations";
import { mutationProblem } from "./problems";
import type { TurnProps } from "./Turn";
import { useScrollTarget } from "./useScrollTarget";
import { textOf } from "./words";

/** A message of the user, which can be edited. */
export function UserTurn({ turn, target, onChanged, onProblem }: TurnProps) {
  const item = useScrollTarget(turn.id, target);
  const [draft, setDraft] = useDraft(`edit:${turn.id}`);
  // An edit that was open before a refresh continues.
  const [editing, setEditing] = useState(draft.text !== "");
  const [, edit] = useMutation(EditDocument);
  const text = textOf(turn.content);
  const files = turn.content.filter(isAttached).map((block) => block.attachment);
  async function save(changed: string) {
    const input = { messageId: turn.id, text: changed, attachmentIds: files.map((file) => file.id), idempotencyKey: newKey() };
    const result = await edit({ input });
    const problem = mutationProblem(result);
    onProblem(problem);
    if (result.data?.editMessage.__typename === "SendMessagePayload") expectEnd(result.data.editMessage.generation.id);
    if (problem) return;
    close();
    onChanged();
  }
  function close() {
    setDraft(EMPTY);
    setEditing(false);
  }
  if (editing) {
    return (
      <li className="user editing">
        <Editor text={draft.text || text} optional={files.length > 0} onChange={(changed) => setDraft({ text: changed, files: [] })} onSave={save} onCancel={close} />
      </li>
    );
  }
  return (
    <li className="user" data-role="user" {...item}>
      <h2 className="hidden">{t("turn.you")}</h2>
      <div className="said" dir="auto">
        {files.map((file) => <Attachment key={file.id} file={file} />)}
        {text}
      </div>
      <div className="actions">
        <Branches turn={turn} onChanged={onChanged} onProblem={onProblem} />
        <CopyButton text={text} label={t("copy.message")} />
        <button type="button" className="quiet edit" onClick={() => setEditing(true)} aria-label={t("turn.editMessage")} title={t("common.edit")}>
          <Icon name="edit" />
        </button>
      </div>
    </li>
  );
}

interface EditorProps {
  readonly text: string;
  /** Whether the message may have no text, because it has attachments. */
  readonly optional: boolean;
  readonly onChange: (text: string) => void;
  readonly onSave: (text: string) => Promise<void>;
  readonly onCancel: () => void;
}

function Editor({ text, optional, onChange, onSave, onCancel }: EditorProps) {
  const [changed, setChanged] = useState(text);
  const [saving, setSaving] = useState(false);
  const ready = (optional || changed.trim() !== "") && !saving;
  const field = useRef<HTMLTextAreaElement>(null);
  async function save() {
    if (!ready) return;
    setSaving(true);
    await onSave(changed);
    setSaving(false);
    field.current?.focus();
  }
  return (
    <form className="editor" onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <textarea
        ref={field}
        autoFocus
        aria-label={t("turn.editMessage")}
        dir="auto"
        value={changed}
        onChange={({ target }) => {
          setChanged(target.value);
          onChange(target.value);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            void save();
          }
        }}
      />
      <div className="actions">
        <button type="button" className="quiet" onClick={onCancel}>{t("common.cancel")}</button>
        <button type="submit" className="loud" disabled={!ready}>{t("common.send")}</button>
      </div>
    </form>
  );
}
