import { lazy, Suspense, useEffect, useRef, useState } from "react";
import "./artifact.css";
import { opened, shown, versionsOf, type Artifact } from "./artifacts";
import { downloadName } from "./codeBlocks";
import { CopyButton } from "./CopyButton";
import { Highlighted } from "./Highlighted";
import { Icon } from "./Icon";
import { t } from "./messages";
import { fetchFile, saveBlob } from "./ownFiles";
import { Sandbox } from "./Sandbox";
import { useStore } from "./store";

const Markdown = lazy(() => import("./Markdown"));
/** Narrower windows show the panel above the conversation. */
const beside = matchMedia("(min-width: 1100px)");

/** A code block or a file of the conversation: beside it in wide windows, and above it in others. */
export default function ArtifactPanel({ artifact }: { artifact: Artifact }) {
  const dialog = usePanel();
  const content = useContent(artifact);
  const [asCode, setAsCode] = useState(false);
  const title = artifact.title ?? artifact.language ?? t("artifact.untitled");
  const close = () => opened.set(null);
  function onKeyDown(event: React.KeyboardEvent) {
    if (event.key !== "Escape") return;
    // Elsewhere, Escape stops the answer.
    event.stopPropagation();
    close();
  }
  return (
    <dialog className="artifact" ref={dialog} aria-label={t("artifact.label", { title })} onClose={close} onKeyDown={onKeyDown}>
      <header>
        <h2 dir="auto">{title}</h2>
        <Versions artifact={artifact} />
        <button type="button" className="quiet" onClick={close} aria-label={t("common.close")}><Icon name="close" /></button>
      </header>
      <div className="actions">
        {artifact.preview && (
          <span className="views">
            <button type="button" aria-pressed={!asCode} onClick={() => setAsCode(false)}>{t("artifact.preview")}</button>
            <button type="button" aria-pressed={asCode} onClick={() => setAsCode(true)}>{t("artifact.code")}</button>
          </span>
        )}
        {content && <CopyButton text={content} label={t("copy.code")} />}
        {content && (
          <button type="button" className="quiet" onClick={() => saveBlob(new Blob([content]), downloadName(artifact))} aria-label={t("artifact.download")} title={t("artifact.download")}>
            <Icon name="download" />
          </button>
        )}
      </div>
      {content === undefined && <p className="note" role="alert">{t("artifact.failed")}</p>}
      {content && (artifact.preview && !asCode
        ? <Preview artifact={artifact} content={content} title={title} />
        : <div className="view" dir="ltr"><Highlighted code={content} language={artifact.language} /></div>)}
    </dialog>
  );
}

function Preview({ artifact, content, title }: { artifact: Artifact; content: string; title: string }) {
  if (artifact.preview === "markdown") {
    return <div className="view text"><Suspense><Markdown text={content} growing={false} /></Suspense></div>;
  }
  return <Sandbox html={content} title={title} />;
}

function Versions({ artifact }: { artifact: Artifact }) {
  const versions = versionsOf(artifact, useStore(shown));
  const position = versions.indexOf(artifact);
  if (versions.length < 2 || position < 0) return null;
  const step = (by: number, name: "previous" | "next") => {
    const version = versions[position + by];
    return (
      <button type="button" className="quiet" disabled={!version} onClick={() => version && opened.set(version)} aria-label={t(name === "next" ? "turn.nextVersion" : "turn.previousVersion")}>
        <Icon name={name} />
      </button>
    );
  };
  return (
    <span className="branches" role="group" aria-label={t("turn.versions")}>
      {step(-1, "previous")}
      {t("turn.version", { position: position + 1, count: versions.length })}
      {step(1, "next")}
    </span>
  );
}

/** Open the dialog, modal if it covers the conversation. Return the focus when it closes. */
function usePanel() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opener = document.activeElement;
    if (beside.matches) dialog.current?.show();
    else dialog.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return dialog;
}

/** Return the text of an artifact: null while it is loaded, undefined if it cannot be loaded. */
function useContent({ code, url }: Artifact): string | null | undefined {
  const [file, setFile] = useState<{ readonly url: string; readonly text: string | undefined } | null>(null);
  useEffect(() => {
    if (url === null) return;
    let outdated = false;
    void fetchFile(url).then((blob) => blob?.text()).then((text) => outdated || setFile({ url, text }));
    return () => {
      outdated = true;
    };
  }, [url]);
  if (code !== null) return code;
  return file?.url === url ? file?.text : null;
}
