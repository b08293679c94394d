// Draws the formulas and diagrams of a shared conversation, at /s/TOKEN. The server writes them as text.
import { draw } from "./diagrams";
import { formulaOf } from "./formulas";

async function showFormulas(): Promise<void> {
  const elements = [...document.querySelectorAll<HTMLElement>(".formula")];
  if (elements.length === 0) return;
  const { showFormula } = await import("./katex");
  for (const element of elements) {
    const formula = formulaOf(element.textContent);
    if (!formula) continue;
    if (formula.display) {
      element.classList.add("display");
      element.tabIndex = 0;
      element.role = "group";
      element.ariaLabel = "Formula";
    }
    showFormula(element, formula);
  }
}

/** Show the diagram above its source. Where it cannot be drawn, only the source is shown. */
async function showDiagram(code: HTMLElement, dark: boolean): Promise<void> {
  const source = code.closest("pre");
  const drawing = await draw(code.textContent, dark);
  const picture = Object.assign(new Image(drawing.width, drawing.height), {
    src: URL.createObjectURL(new Blob([drawing.svg], { type: "image/svg+xml" })),
    alt: drawing.title ?? "Diagram",
  });
  const drawn = source?.closest("figure");
  const shown = drawn?.querySelector("img");
  if (drawn && shown) {
    URL.revokeObjectURL(shown.src);
    drawn.dataset.dark = String(dark);
    return shown.replaceWith(picture);
  }
  const figure = Object.assign(document.createElement("figure"), { className: "diagram" });
  figure.dataset.dark = String(dark);
  const details = document.createElement("details");
  details.append(Object.assign(document.createElement("summary"), { textContent: "Source" }));
  source?.replaceWith(figure);
  if (source) details.append(source);
  figure.append(picture, details);
}

function showDiagrams(dark: boolean): void {
  for (const code of document.querySelectorAll<HTMLElement>("code.language-mermaid")) {
    showDiagram(code, dark).catch(() => undefined);
  }
}

const theme = matchMedia("(prefers-color-scheme: dark)");
theme.addEventListener("change", () => showDiagrams(theme.matches));
showDiagrams(theme.matches);
void showFormulas().catch(() => undefined);
