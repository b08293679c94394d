import { useEffect, useRef } from "react";
import { at } from "./base";

/** HTML that Claude wrote, in a frame that has a separate origin and no network: see FRAME_POLICY in pages.py. */
export function Sandbox({ html, title }: { html: string; title: string }) {
  const frame = useRef<HTMLIFrameElement>(null);
  useEffect(() => {
    function onMessage({ source, data }: MessageEvent) {
      const target = frame.current?.contentWindow;
      // Other messages of the frame are ignored. Its origin has no name.
      if (!target || source !== target || data !== "ready") return;
      removeEventListener("message", onMessage);
      target.postMessage(html, "*");
    }
    addEventListener("message", onMessage);
    return () => removeEventListener("message", onMessage);
  }, [html]);
  // The attribute limits the frame also where it would navigate to another page of the server.
  return <iframe key={html} ref={frame} src={at("sandbox")} sandbox="allow-scripts" title={title} />;
}
