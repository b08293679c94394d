import { useEffect, useState } from "react";
import type { FileFragment } from "./operations";
import { authorization } from "./session";
import { bytes } from "./words";

/** An image as itself, a document as a link. Their bytes are for their owner alone, so they are fetched as the viewer. */
export function Attachment({ file }: { file: FileFragment }) {
  const image = file.mediaType.startsWith("image/");
  const address = useBytes(image ? file.url : null);
  const words = `${file.filename}, ${bytes(file.sizeBytes)}`;
  if (!image) {
    return (
      <button type="button" className="file" onClick={() => void save(file.url, file.filename)}>
        {words}{file.pages !== null && `, ${file.pages === 1 ? "1 page" : `${file.pages} pages`}`}
      </button>
    );
  }
  return <img className="attached" src={address ?? undefined} alt={words} width={file.width ?? undefined} height={file.height ?? undefined} />;
}

export async function save(url: string, filename: string): Promise<void> {
  const address = await objectOf(url);
  if (!address) return;
  const link = Object.assign(document.createElement("a"), { href: address, download: filename });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function useBytes(url: string | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (!url) return;
    let gone = false;
    const made = objectOf(url);
    void made.then((found) => gone || setAddress(found));
    return () => {
      gone = true;
      void made.then((found) => found && URL.revokeObjectURL(found));
    };
  }, [url]);
  return address;
}

async function objectOf(url: string): Promise<string | null> {
  const response = await fetch(url, { headers: await authorization() }).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : null;
}
