import Compiled, { type MarkdownToJSX } from "markdown-to-jsx/react";
import { memo, type ComponentProps } from "react";
import { CodeBlock } from "./CodeBlock";

function Link(props: ComponentProps<"a">) {
  return <a {...props} target="_blank" rel="noreferrer" />;
}

/** The page loads nothing from other servers, so an image is shown as a link. */
function Picture({ src, alt }: ComponentProps<"img">) {
  return <Link href={src}>{alt || src}</Link>;
}

/** Wide tables scroll on their own, also by keyboard. */
function Table(props: ComponentProps<"table">) {
  return <div className="wide" tabIndex={0} role="region" aria-label="Table"><table {...props} /></div>;
}

/** Arabic and Hebrew are written from right to left: the first letter of each block sets the block's direction. */
const DIRECTIONS = Object.fromEntries(
  ["p", "ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "th", "td"].map((tag) => [tag, { props: { dir: "auto" } }]),
);

const OPTIONS: MarkdownToJSX.Options = {
  // HTML in Claude's text is shown as text and never interpreted.
  disableParsingRawHTML: true,
  forceBlock: true,
  overrides: { a: Link, img: Picture, pre: CodeBlock, table: Table, ...DIRECTIONS },
};
const GROWING: MarkdownToJSX.Options = { ...OPTIONS, optimizeForStreaming: true };

function Markdown({ text, growing }: { text: string; growing: boolean }) {
  return <Compiled options={growing ? GROWING : OPTIONS}>{text}</Compiled>;
}

export default memo(Markdown);
