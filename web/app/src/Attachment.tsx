import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { opened, register, type Artifact } from "./artifacts";
import { describe, languageOf } from "./codeBlocks";
import { Icon } from "./Icon";
import { bytes, list, t } from "./messages";
import type { FileFragment } from "./operations";
import { fetchFile, saveFile } from "./ownFiles";
import { useObjectUrl } from "./useObjectUrl";

const Lightbox = lazy(() => import("./Lightbox"));
/** Larger files are only downloaded. */
const MAX_OPENED_BYTES = 1_000_000;

/** An image, or a card of a file. Only the owner may read a file, so it is fetched with the viewer's token. */
export function Attachment({ file }: { file: FileFragment }) {
  return file.width === null ? <Card file={file} /> : <Picture file={file} />;
}

function labelOf(file: FileFragment): string {
  const pages = file.pages === null ? [] : [t("content.pages", { count: file.pages })];
  return list([file.filename, bytes(file.sizeBytes), ...pages]);
}

function Picture({ file }: { file: FileFragment }) {
  // Browsers cannot show all types of images.
  const address = useObjectUrl(useFile(file.convertedUrl ?? file.url));
  const [enlarged, setEnlarged] = useState(false);
  return (
    <>
      <button type="button" className="picture" onClick={() => setEnlarged(true)} aria-label={t("picture.enlarge", { name: file.filename })}>
        <img className="attached" src={address ?? undefined} alt={labelOf(file)} width={file.width ?? undefined} height={file.height ?? undefined} />
      </button>
      {enlarged && address && (
        <Suspense>
          <Lightbox title={file.filename} src={address} onClose={() => setEnlarged(false)} onSave={() => void saveFile(file.url, file.filename)} />
        </Suspense>
      )}
    </>
  );
}

/** A file with a button that downloads it. A text can also be opened beside the conversation. */
function Card({ file }: { file: FileFragment }) {
  const card = useRef<HTMLDivElement>(null);
  const artifact = useFileArtifact(file, card);
  return (
    <div className="file" ref={card}>
      <button type="button" data-name={file.filename} onClick={() => (artifact.current ? opened.set(artifact.current) : void saveFile(file.url, file.filename))}>
        <Icon name="file" /> {labelOf(file)}
      </button>
      <button type="button" className="quiet" onClick={() => void saveFile(file.url, file.filename)} aria-label={t("file.download", { name: file.filename })} title={t("artifact.download")}>
        <Icon name="download" />
      </button>
    </div>
  );
}

/** Register a file of text as an artifact. */
function useFileArtifact({ filename, mediaType, sizeBytes, url }: FileFragment, card: React.RefObject<HTMLElement | null>) {
  const artifact = useRef<Artifact | null>(null);
  const isText = /^text\/|[/+](?:json|xml|javascript|yaml|toml)$/.test(mediaType) && sizeBytes <= MAX_OPENED_BYTES;
  useEffect(() => {
    if (!isText || !card.current) return;
    const language = languageOf(filename);
    const { preview } = describe({ code: "", language, info: filename });
    artifact.current = { title: filename, language, preview, element: card.current, code: null, url };
    return register(artifact.current);
  }, [isText, filename, url, card]);
  return artifact;
}

function useFile(url: string): Blob | null {
  const [file, setFile] = useState<Blob | null>(null);
  useEffect(() => {
    let unmounted = false;
    void fetchFile(url).then((fetched) => unmounted || setFile(fetched));
    return () => {
      unmounted = true;
    };
  }, [url]);
  return file;
}
