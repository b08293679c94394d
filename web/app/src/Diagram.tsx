import { useEffect, useMemo, useState, type ReactNode } from "react";
import "./artifact.css";
import { CopyButton } from "./CopyButton";
import { draw, type Drawing } from "./diagrams";
import { Icon } from "./Icon";
import Lightbox from "./Lightbox";
import { shown, t } from "./messages";
import { saveBlob } from "./ownFiles";
import { useStore } from "./store";
import { useDark } from "./useDark";
import { useObjectUrl } from "./useObjectUrl";

/** A Mermaid diagram, or `fallback` until it is drawn, or if its source is not valid. */
export default function Diagram({ source, fallback }: { source: string; fallback: ReactNode }) {
  useStore(shown);
  const dark = useDark();
  const drawing = useDrawing(source, dark);
  const file = useMemo(() => drawing && new Blob([drawing.svg], { type: "image/svg+xml" }), [drawing]);
  const address = useObjectUrl(file);
  const [enlarged, setEnlarged] = useState(false);
  if (drawing === null || !file) return fallback;
  const title = drawing.title ?? t("content.diagram");
  return (
    <figure className="code diagram" data-dark={dark}>
      <figcaption>
        <span>{title}</span>
        <span>
          <button type="button" className="quiet" onClick={() => saveBlob(file, "diagram.svg")} aria-label={t("diagram.download")} title={t("diagram.download")}>
            <Icon name="download" />
          </button>
          <CopyButton text={source} label={t("diagram.copy")} />
        </span>
      </figcaption>
      <button type="button" className="picture" onClick={() => setEnlarged(true)} aria-label={t("picture.enlarge", { name: title })}>
        <img src={address ?? undefined} alt={title} width={drawing.width} height={drawing.height} />
      </button>
      <details>
        <summary>{t("diagram.source")}</summary>
        <pre tabIndex={0} aria-label={t("diagram.source")}><code>{source}</code></pre>
      </details>
      {enlarged && address && <Lightbox title={title} src={address} onClose={() => setEnlarged(false)} onSave={() => saveBlob(file, "diagram.svg")} />}
    </figure>
  );
}

function useDrawing(source: string, dark: boolean): Drawing | null {
  const [drawing, setDrawing] = useState<Drawing | null>(null);
  useEffect(() => {
    let outdated = false;
    draw(source, dark).then((drawn) => outdated || setDrawing(drawn), () => outdated || setDrawing(null));
    return () => {
      outdated = true;
    };
  }, [source, dark]);
  return drawing;
}
