import Compiled, { type MarkdownToJSX } from "markdown-to-jsx/react";
import { memo, type ComponentProps } from "react";
import { CodeBlock } from "./CodeBlock";

function Link(props: ComponentProps<"a">) {
  return <a {...props} target="_blank" rel="noreferrer" />;
}

/** The page loads nothing from elsewhere, so a picture is a link to it. */
function Picture({ src, alt }: ComponentProps<"img">) {
  return <Link href={src}>{alt || src}</Link>;
}

/** Wide tables scroll by themselves; the keyboard reaches them. */
function Table(props: ComponentProps<"table">) {
  return <div className="wide" tabIndex={0} role="region" aria-label="Table"><table {...props} /></div>;
}

/** Arabic and Hebrew are written from right to left: each block takes the direction of its own first letter. */
const DIRECTIONS = Object.fromEntries(
  ["p", "ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "th", "td"].map((tag) => [tag, { props: { dir: "auto" } }]),
);

const OPTIONS: MarkdownToJSX.Options = {
  // What Claude writes is text: tags in it are shown, not made.
  disableParsingRawHTML: true,
  forceBlock: true,
  overrides: { a: Link, img: Picture, pre: CodeBlock, table: Table, ...DIRECTIONS },
};
const GROWING: MarkdownToJSX.Options = { ...OPTIONS, optimizeForStreaming: true };

function Markdown({ text, growing }: { text: string; growing: boolean }) {
  return <Compiled options={growing ? GROWING : OPTIONS}>{text}</Compiled>;
}

export default memo(Markdown);
