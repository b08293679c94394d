import Compiled, { type MarkdownToJSX } from "markdown-to-jsx/react";
import { createElement, memo, type ComponentProps } from "react";

function Link(props: ComponentProps<"a">) {
  return <a {...props} target="_blank" rel="noreferrer" />;
}

/** The element loads nothing from other servers, so an image is shown as a link. */
function Picture({ src, alt }: ComponentProps<"img">) {
  return <Link href={src}>{alt || src}</Link>;
}

function Table(props: ComponentProps<"table">) {
  return <div className="wide" tabIndex={0}><table {...props} /></div>;
}

/** The first letter of each block sets its direction. */
const DIRECTIONS = Object.fromEntries(
  ["p", "ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"].map((tag) => [tag, { props: { dir: "auto" } }]),
);

const OPTIONS: MarkdownToJSX.Options = {
  // By default, the library builds elements that only React can render, and not Preact. This also concerns its wrapper.
  createElement: (...values: Parameters<typeof createElement>) => createElement(...values),
  wrapper: null,
  // HTML in Claude's text is shown as text and never interpreted.
  disableParsingRawHTML: true,
  forceBlock: true,
  overrides: { a: Link, img: Picture, table: Table, ...DIRECTIONS },
};
const GROWING: MarkdownToJSX.Options = { ...OPTIONS, optimizeForStreaming: true };

/** Claude's text. */
export const Markdown = memo(function Markdown({ text, growing }: { text: string; growing: boolean }) {
  return <div className="text"><Compiled options={growing ? GROWING : OPTIONS}>{text}</Compiled></div>;
});
