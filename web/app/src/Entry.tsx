import { at } from "./base";
import { useEffect, useRef, useState } from "react";
import { useMutation } from "urql";
import { save } from "./Attachment";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { DeleteDocument, UpdateDocument, type EntryFragment } from "./operations";
import { follow, show } from "./route";
import { serverInfo } from "./serverInfo";
import { useStore } from "./store";
import { complaint } from "./words";

/** A conversation in the list, with its menu. */
export function Entry({ entry, current }: { entry: EntryFragment; current: boolean }) {
  const [renaming, setRenaming] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [, update] = useMutation(UpdateDocument);
  const server = useStore(serverInfo);
  const canExport = server === null || "export" in server.links;
  const change = async (changes: { title?: string | null; pinned?: boolean; archived?: boolean }) => {
    setProblem(complaint(await update({ input: { id: entry.id, ...changes } })));
  };
  const title = entry.title ?? "New conversation";
  return (
    <li className="entry">
      {renaming ? (
        <Rename title={entry.title ?? ""} onDone={(changed) => { setRenaming(false); if (changed !== null) void change({ title: changed || null }); }} />
      ) : (
        <a dir="auto" href={`/?c=${entry.id}`} aria-current={current ? "page" : undefined} onClick={(event) => follow(event, entry.id)} title={title}>
          {entry.activeGeneration && <span className="alive" role="img" aria-label="Claude is answering" />}
          {title}
        </a>
      )}
      <Menu title={title}>
        <button type="button" onClick={() => setRenaming(true)}><Icon name="edit" /> Rename</button>
        <button type="button" onClick={() => change({ pinned: !entry.pinned })}><Icon name="pin" /> {entry.pinned ? "Unpin" : "Pin"}</button>
        <button type="button" onClick={() => change({ archived: !entry.archived })}>
          <Icon name="archive" /> {entry.archived ? "Unarchive" : "Archive"}
        </button>
        {canExport && <button type="button" onClick={() => save(at(`export/${entry.id}?format=markdown`), `${title}.md`)}><Icon name="export" /> Export</button>}
        <button type="button" onClick={() => setDeleting(true)}><Icon name="trash" /> Delete</button>
      </Menu>
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      {deleting && <Delete entry={entry} title={title} current={current} onClose={() => setDeleting(false)} />}
    </li>
  );
}

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
      <summary aria-label={`Actions for ${title}`}><Icon name="more" /></summary>
      <div onClick={close}>{children}</div>
    </details>
  );
}

function Rename({ title, onDone }: { title: string; onDone: (title: string | null) => void }) {
  const [changed, setChanged] = useState(title);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  return (
    <input
      ref={field}
      autoFocus
      aria-label="Title"
      dir="auto"
      value={changed}
      onChange={(event) => setChanged(event.target.value)}
      onBlur={() => onDone(changed.trim() === title ? null : changed.trim())}
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
  readonly entry: EntryFragment;
  readonly title: string;
  readonly current: boolean;
  readonly onClose: () => void;
}

function Delete({ entry, title, current, onClose }: DeleteProps) {
  const [{ fetching }, remove] = useMutation(DeleteDocument);
  const [problem, setProblem] = useState<string | null>(null);
  async function go() {
    const failure = complaint(await remove({ id: entry.id }));
    setProblem(failure);
    if (failure) return;
    onClose();
    if (current) show(null, { replace: true });
  }
  return (
    <Dialog title="Delete this conversation?" onClose={onClose}>
      <p>“{title}” and its messages and attachments are deleted permanently. Its cost still counts in your usage.</p>
      {problem && <p className="notice trouble" role="alert">{problem}</p>}
      <div className="actions">
        <button type="button" className="plain" onClick={onClose}>Cancel</button>
        <button type="button" className="loud" disabled={fetching} onClick={go}>Delete</button>
      </div>
    </Dialog>
  );
}
