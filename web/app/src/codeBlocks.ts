/** A code block of a Markdown text. */
export interface Code {
  readonly code: string;
  readonly language: string | null;
  /** What follows the language on the line of the fence. */
  readonly info: string;
}

export type Preview = "html" | "svg" | "markdown";

/** How a code block or a file is shown beside the conversation. */
export interface Description {
  /** The title; null if the text has none. */
  readonly title: string | null;
  readonly language: string | null;
  /** How it can be shown, apart from as code. */
  readonly preview: Preview | null;
}

/** Shorter code, in lines, is opened only if it has a preview. */
const LONG = 20;
const MAX_TITLE = 60;
const FILE_NAME = /^[\w.@/-]*\w\.[a-z][a-z0-9]{0,7}$/i;
const FENCE = /^(?:[ \t]|>|(?:[-*+]|\d+[.)])[ \t])*(`{3,}|~{3,})(.*)$/;
const PREVIEWS: Readonly<Record<string, Preview>> = {
  html: "html", htm: "html", xhtml: "html", svg: "svg", markdown: "markdown", md: "markdown",
};
const EXTENSIONS: Readonly<Record<string, string>> = {
  bash: "sh", c: "c", cpp: "cpp", csharp: "cs", css: "css", go: "go", html: "html", java: "java", javascript: "js", js: "js",
  json: "json", jsx: "jsx", kotlin: "kt", markdown: "md", md: "md", python: "py", py: "py", ruby: "rb", rust: "rs", shell: "sh",
  sql: "sql", svg: "svg", swift: "swift", toml: "toml", ts: "ts", tsx: "tsx", typescript: "ts", xml: "xml", yaml: "yaml",
};

/** Return the code of a block that has no end yet, at the end of a text; null if all blocks have one. */
export function openCode(markdown: string): string | null {
  let open: string | null = null;
  let lines: string[] = [];
  for (const line of markdown.split("\n")) {
    const [, fence = "", info = ""] = FENCE.exec(line) ?? [];
    if (open === null && fence && !(fence.startsWith("`") && info.includes("`"))) {
      open = fence;
      lines = [];
    } else if (open !== null && fence.startsWith(open) && !info.trim()) {
      open = null;
    } else {
      lines.push(line);
    }
  }
  return open === null ? null : lines.join("\n");
}

/** Return whether two codes are the same, apart from spaces: those of a list or a quote are indented. */
export function sameCode(one: string, other: string): boolean {
  return one.replace(/[\s>]+/g, "") === other.replace(/[\s>]+/g, "");
}

/** Return the title, the language and the preview of a code block. */
export function describe({ code, language, info }: Code): Description {
  const written = language?.toLowerCase() ?? null;
  const isSvg = (written === "xml" || written === "html") && /^\s*(?:<\?xml[^>]*>\s*)?<svg[\s>]/i.test(code);
  const preview = isSvg ? "svg" : (PREVIEWS[written ?? ""] ?? null);
  const title = fileName(info) ?? (preview ? titleInside(code, preview) : null) ?? firstComment(code);
  return { title: title && shortened(title), language: isSvg ? "svg" : written, preview };
}

/** Return whether a code block is worth its own panel. */
export function opens(code: string, { preview }: Description): boolean {
  return preview !== null || code.split("\n").length >= LONG;
}

/** Return the name under which a code block is saved. */
export function downloadName({ title, language }: Description): string {
  if (title && FILE_NAME.test(title)) return title.split("/").at(-1) ?? title;
  const stem = title?.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();
  return `${stem || "code"}.${EXTENSIONS[language ?? ""] ?? "txt"}`;
}

/** Return the language of a file by its name. */
export function languageOf(filename: string): string | null {
  return /\.([a-z0-9]+)$/i.exec(filename)?.[1]?.toLowerCase() ?? null;
}

/** A name such as in ```` ```html index.html ````, or with `title=` or `filename=`. */
function fileName(info: string): string | null {
  const named = /\b(?:title|file|filename|name)=(?:"([^"]+)"|'([^']+)'|(\S+))/.exec(info);
  return named?.[1] ?? named?.[2] ?? named?.[3] ?? info.split(/\s+/).find((word) => FILE_NAME.test(word)) ?? null;
}

function titleInside(code: string, preview: Preview): string | null {
  const found = preview === "markdown" ? /^#{1,2}[ \t]+(.+)$/m.exec(code) : /<title[^>]*>([^<]+)<\/title>/i.exec(code);
  return found?.[1]?.trim() || null;
}

function firstComment(code: string): string | null {
  const [first = ""] = code.replace(/^#!.*\n/, "").split("\n", 1);
  const comment = /^(?:\/\/|\/\*+|#(?![!a-z])|--|;+|%|<!--|\(\*|""")\s*(.*?)\s*(?:\*\/|-->|\*\)|""")?\s*$/.exec(first)?.[1];
  return comment && comment.length <= MAX_TITLE ? comment : null;
}

function shortened(title: string): string {
  return title.length > MAX_TITLE ? `${title.slice(0, MAX_TITLE - 1)}…` : title;
}
