import { useEffect, useRef } from "react";
import "./artifact.css";
import { Icon } from "./Icon";
import { t } from "./messages";

interface Props {
  readonly title: string;
  readonly src: string;
  readonly onClose: () => void;
  readonly onSave: () => void;
}

/** A picture in its full size, or as large as the window. Escape or a click beside the picture closes it. */
export default function Lightbox({ title, src, onClose, onSave }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog className="lightbox" ref={dialog} aria-label={title} onClose={onClose} onClick={({ target }) => target instanceof HTMLImageElement || onClose()}>
      <header>
        <h2>{title}</h2>
        <button type="button" className="quiet" onClick={(event) => { event.stopPropagation(); onSave(); }} aria-label={t("artifact.download")} title={t("artifact.download")}><Icon name="download" /></button>
        <button type="button" className="quiet" onClick={onClose} aria-label={t("common.close")}><Icon name="close" /></button>
      </header>
      <img src={src} alt={title} />
    </dialog>
  );
}
