import { at } from "./base";
import { lazy, memo, Suspense, useEffect, useRef, useState } from "react";
import { useClient, useMutation } from "urql";
import { saveFile } from "./ownFiles";
import { deleteLater } from "./deletions";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { t } from "./messages";
import { UpdateDocument, type EntryFragment } from "./operations";
import { mutationProblem, problemOf, type Problem } from "./problems";
import { address, follow } from "./route";
import { serverInfo } from "./serverInfo";
import { useStore } from "./store";
import { ProblemNotice } from "./ProblemNotice";

const TagsDialog = lazy(() => import("./TagsDialog"));

/** A conversation in the list, with its menu. */
export const Entry = memo(function Entry({ entry, current }: { entry: EntryFragment; current: boolean }) {
  const [renaming, setRenaming] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [tagging, setTagging] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const client = useClient();
  const [, update] = useMutation(UpdateDocument);
  const server = useStore(serverInfo);
  const canExport = server === null || "export" in server.links;
  const change = async (changes: { title?: string | null; pinned?: boolean; archived?: boolean }) => {
    setProblem(mutationProblem(await update({ input: { id: entry.id, ...changes } })));
  };
  const exportAs = async (format: string, ending: string) => {
    const saved = await saveFile(at(`export/${entry.id}?format=${format}`), `${title}.${ending}`);
    setProblem(saved ? null : problemOf(t("data.exportFailed")));
  };
  const title = entry.title ?? t("common.newConversation");
  return (
    <li className="entry">
      {renaming ? (
        <Rename title={entry.title ?? ""} onDone={(changed) => { setRenaming(false); if (changed !== null) void change({ title: changed || null }); }} />
      ) : (
        <a dir="auto" href={address(entry.id)} aria-current={current ? "page" : undefined} onClick={(event) => follow(event, entry.id)} title={title}>
          {entry.activeGeneration && <span className="alive" role="img" aria-label={t("entry.answering")} />}
          {title}
        </a>
      )}
      <Menu title={title}>
        <button type="button" onClick={() => setRenaming(true)}><Icon name="edit" /> {t("entry.rename")}</button>
        <button type="button" onClick={() => change({ pinned: !entry.pinned })}><Icon name="pin" /> {t(entry.pinned ? "entry.unpin" : "entry.pin")}</button>
        <button type="button" onClick={() => change({ archived: !entry.archived })}>
          <Icon name="archive" /> {t(entry.archived ? "entry.unarchive" : "entry.archive")}
        </button>
        <button type="button" onClick={() => setTagging(true)}><Icon name="tag" /> {t("tags.title")}</button>
        {canExport && <button type="button" onClick={() => exportAs("markdown", "md")}><Icon name="export" /> {t("entry.exportMarkdown")}</button>}
        {canExport && <button type="button" onClick={() => exportAs("jsonl", "jsonl")}><Icon name="export" /> {t("entry.exportJson")}</button>}
        <button type="button" onClick={() => setDeleting(true)}><Icon name="trash" /> {t("common.delete")}</button>
      </Menu>
      <ProblemNotice problem={problem} />
      {tagging && <Suspense><TagsDialog entry={entry} onClose={() => setTagging(false)} /></Suspense>}
      {deleting && <Delete title={title} onDelete={() => deleteLater(client, { id: entry.id, title, current })} onClose={() => setDeleting(false)} />}
    </li>
  );
});

function Menu({ title, children }: { title: string; children: React.ReactNode }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = () => menu.current?.removeAttribute("open");
  return (
    <details
      className="menu"
      ref={menu}
      onBlur={(event) => event.currentTarget.contains(event.relatedTarget) || close()}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !menu.current?.open) return;
        event.stopPropagation();
        close();
        menu.current.querySelector("summary")?.focus();
      }}
    >
      <summary aria-label={t("entry.actions", { title })}><Icon name="more" /></summary>
      <div onClick={close}>{children}</div>
    </details>
  );
}

function Rename({ title, onDone }: { title: string; onDone: (title: string | null) => void }) {
  const [changed, setChanged] = useState(title);
  // Meanwhile, a new conversation may get a title.
  const [before] = useState(title);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  return (
    <input
      ref={field}
      autoFocus
      aria-label={t("entry.title")}
      dir="auto"
      value={changed}
      onChange={(event) => setChanged(event.target.value)}
      onBlur={() => onDone(changed.trim() === before ? null : changed.trim())}
      onKeyDown={(event) => {
        if (event.key === "Enter" && !event.nativeEvent.isComposing) event.currentTarget.blur();
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onDone(null);
      }}
    />
  );
}

interface DeleteProps {
  readonly title: string;
  readonly onDelete: () => void;
  readonly onClose: () => void;
}

function Delete({ title, onDelete, onClose }: DeleteProps) {
  return (
    <Dialog title={t("delete.title")} onClose={onClose}>
      <p>{t("delete.text", { title })}</p>
      <div className="actions">
        <button type="button" className="plain" onClick={onClose}>{t("common.cancel")}</button>
        <button type="button" className="loud" onClick={onDelete}>{t("common.delete")}</button>
      </div>
    </Dialog>
  );
}
