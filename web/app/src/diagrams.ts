import { at } from "./base";

/** A drawing as an SVG file, with its size in pixels. */
export interface Drawing {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
  /** The title in the source; null if it has none. */
  readonly title: string | null;
}

export interface DrawingRequest {
  readonly id: number;
  readonly source: string;
  readonly dark: boolean;
}

interface Response {
  readonly id: number;
  readonly drawing?: Drawing;
  readonly problem?: string;
}

const TIMEOUT_MS = 20_000;
let renderer: Promise<MessagePort> | null = null;
let last = 0;

/** Draw a Mermaid diagram in the frame at `/diagrams`. Fails if the source is not valid. */
export async function draw(source: string, dark: boolean): Promise<Drawing> {
  renderer ??= inTime(load());
  const port = await renderer.catch((error: unknown) => {
    renderer = null;
    throw error;
  });
  const id = (last += 1);
  const listening = new AbortController();
  const drawing = new Promise<Drawing>((resolve, reject) => {
    port.addEventListener("message", ({ data }: MessageEvent<Response>) => {
      if (data.id !== id) return;
      if (data.drawing) resolve(data.drawing);
      else reject(new Error(data.problem));
    }, { signal: listening.signal });
  });
  port.postMessage({ id, source, dark } satisfies DrawingRequest);
  return inTime(drawing).finally(() => listening.abort());
}

function load(): Promise<MessagePort> {
  const frame = Object.assign(document.createElement("iframe"), { className: "diagrams", src: at("diagrams"), tabIndex: -1 });
  frame.setAttribute("sandbox", "allow-scripts");
  frame.setAttribute("aria-hidden", "true");
  return new Promise((resolve) => {
    addEventListener("message", function onMessage({ source, data }) {
      if (source !== frame.contentWindow || data !== "ready") return;
      removeEventListener("message", onMessage);
      const { port1, port2 } = new MessageChannel();
      // The origin of a frame with `sandbox` has no name.
      frame.contentWindow?.postMessage("port", "*", [port2]);
      port1.start();
      resolve(port1);
    });
    document.body.append(frame);
  });
}

function inTime<Value>(promise: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("The diagram took too long.")), TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
