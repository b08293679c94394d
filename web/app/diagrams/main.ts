// Draws the diagrams of the chat page, in a frame with a separate origin: Mermaid needs styles that the page's policy
// forbids, and has to read text that Claude wrote.
import mermaid from "mermaid";
import type { Drawing, DrawingRequest } from "../src/diagrams";

/** The width, in pixels, of diagrams that fill the available room. */
const WIDTH = 800;

async function draw({ source, dark }: DrawingRequest): Promise<Drawing> {
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    layout: "dagre",
    theme: dark ? "dark" : "default",
    themeVariables: { edgeLabelBackground: dark ? "#252422" : "#f1eee8" },
    themeCSS: ".edgeLabel rect { opacity: 1; }",
    fontFamily: "system-ui, sans-serif",
    suppressErrorRendering: true,
    // Images cannot show HTML in all browsers.
    htmlLabels: false,
  });
  const container = document.createElement("div");
  container.style.width = `${WIDTH}px`;
  document.body.replaceChildren(container);
  const { svg } = await mermaid.render("diagram", source, container);
  return standalone(svg);
}

/** Return a drawing as a well-formed file with a size. Mermaid's drawings are as wide as the element around them. */
function standalone(svg: string): Drawing {
  const element = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
  if (!element) throw new Error("Mermaid drew nothing.");
  const [, , width = WIDTH, height = WIDTH] = (element.getAttribute("viewBox") ?? "").split(/[ ,]+/).map(Number);
  element.setAttribute("width", String(width));
  element.setAttribute("height", String(height));
  element.style.removeProperty("max-width");
  // `accTitle`, or else the visible title, whose class depends on the kind of diagram.
  const title = element.querySelector(":scope > title, [class$='TitleText']")?.textContent ?? null;
  return { svg: new XMLSerializer().serializeToString(element), width, height, title };
}

addEventListener("message", ({ source, ports: [port] }) => {
  if (source !== parent || !port) return;
  let last: Promise<unknown> = Promise.resolve();
  port.onmessage = ({ data }: MessageEvent<DrawingRequest>) => {
    // One after the other: Mermaid's configuration is global.
    last = last.then(() => draw(data)).then(
      (drawing) => port.postMessage({ id: data.id, drawing }),
      (error: unknown) => port.postMessage({ id: data.id, problem: error instanceof Error ? error.message : String(error) }),
    );
  };
});
parent.postMessage("ready", "*");
