import { useEffect, useRef, type ReactNode } from "react";
import { Icon } from "./Icon";
import { t } from "./messages";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  /** Whether it has room for two columns. */
  readonly wide?: boolean;
}

/** The browser's modal dialog: it keeps the focus, closes on Escape, and returns the focus. */
export function Dialog({ title, onClose, children, wide = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={wide ? "settings" : undefined}
      aria-labelledby="dialog-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <header>
        <h2 id="dialog-title">{title}</h2>
        <button type="button" className="quiet" onClick={onClose} aria-label={t("common.close")}><Icon name="close" /></button>
      </header>
      {children}
    </dialog>
  );
}
