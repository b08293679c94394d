import { useEffect, useState } from "react";
import { Icon } from "./Icon";
import { bytes, list, t } from "./messages";
import type { FileFragment } from "./operations";
import { authorization } from "./session";

/** An image, or a button that downloads a document. Only the owner may read a file, so it is fetched with the viewer's token. */
export function Attachment({ file }: { file: FileFragment }) {
  const image = file.width !== null;
  // Browsers cannot show all types of images.
  const address = useBytes(image ? (file.convertedUrl ?? file.url) : null);
  const pages = file.pages === null ? [] : [t("content.pages", { count: file.pages })];
  const label = list([file.filename, bytes(file.sizeBytes), ...pages]);
  if (!image) {
    return (
      <button type="button" className="file" data-name={file.filename} onClick={() => void save(file.url, file.filename)}>
        <Icon name="file" /> {label}
      </button>
    );
  }
  return <img className="attached" src={address ?? undefined} alt={label} width={file.width ?? undefined} height={file.height ?? undefined} />;
}

/** Download a file of the server. Return whether that succeeded. */
export async function save(url: string, filename: string): Promise<boolean> {
  const address = await fetchObjectUrl(url);
  if (!address) return false;
  const link = Object.assign(document.createElement("a"), { href: address, download: filename });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  return true;
}

function useBytes(url: string | null): string | null {
  const [address, setAddress] = useState<string | null>(null);
  useEffect(() => {
    if (!url) return;
    let unmounted = false;
    const objectUrl = fetchObjectUrl(url);
    void objectUrl.then((fetched) => unmounted || setAddress(fetched));
    return () => {
      unmounted = true;
      void objectUrl.then((fetched) => fetched && URL.revokeObjectURL(fetched));
    };
  }, [url]);
  return address;
}

async function fetchObjectUrl(url: string): Promise<string | null> {
  const response = await fetch(url, { headers: await authorization() }).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : null;
}
