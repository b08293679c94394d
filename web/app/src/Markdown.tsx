import Compiled, { RuleType, type MarkdownToJSX } from "markdown-to-jsx/react";
import { Fragment, memo, useMemo, type ComponentProps } from "react";
import { CodeBlock } from "./CodeBlock";
import { openCode, sameCode } from "./codeBlocks";
import { extractFormulas, splitFormulas, type Formula } from "./formulas";
import { loadKatex, RenderedFormula } from "./RenderedFormula";
import { shown, t } from "./messages";
import { useStore } from "./store";

function Link(props: ComponentProps<"a">) {
  return <a {...props} target="_blank" rel="noreferrer" />;
}

/** The page loads nothing from other servers, so an image is shown as a link. */
function Picture({ src, alt }: ComponentProps<"img">) {
  return <Link href={src}>{alt || src}</Link>;
}

/** Wide tables scroll on their own, also by keyboard. */
function Table(props: ComponentProps<"table">) {
  useStore(shown);
  return <div className="wide" dir="auto" tabIndex={0} role="region" aria-label={t("content.table")}><table {...props} /></div>;
}

/** Arabic and Hebrew are written from right to left: the first letter of each block sets the block's direction. */
const DIRECTIONS = Object.fromEntries(
  ["p", "ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6"].map((tag) => [tag, { props: { dir: "auto" } }]),
);

const OPTIONS: MarkdownToJSX.Options = {
  // HTML in Claude's text is shown as text and never interpreted.
  disableParsingRawHTML: true,
  forceBlock: true,
  // Otherwise the first block would be recreated when the second one begins.
  forceWrapper: true,
  overrides: { a: Link, img: Picture, table: Table, ...DIRECTIONS },
};
const GROWING: MarkdownToJSX.Options = { ...OPTIONS, optimizeForStreaming: true };

/** Return the rule that renders code blocks, and the placeholders of formulas. `open` is the code of a block without an end. */
function renderRule(formulas: readonly Formula[], open: string | null): NonNullable<MarkdownToJSX.Options["renderRule"]> {
  return (next, node, _renderChildren, state) => {
    if (node.type === RuleType.codeBlock) {
      const { text: code, lang = null, infoString } = node as MarkdownToJSX.CodeBlockNode & { infoString?: string };
      const complete = open === null || !sameCode(open, code);
      return <CodeBlock key={state.key} code={code.replace(/\n$/, "")} language={lang || null} info={infoString ?? ""} complete={complete} />;
    }
    if (formulas.length === 0 || node.type !== RuleType.text) return next();
    const pieces = splitFormulas(node.text, formulas);
    if (pieces.every((piece) => typeof piece === "string")) return next();
    return (
      <Fragment key={state.key}>
        {pieces.map((piece, position) => (typeof piece === "string" ? piece : <RenderedFormula key={position} {...piece} />))}
      </Fragment>
    );
  };
}

function Markdown({ text, growing }: { text: string; growing: boolean }) {
  const options = growing ? GROWING : OPTIONS;
  const { text: marked, formulas } = useMemo(() => extractFormulas(text, growing), [text, growing]);
  // A formula that has begun is likely to end.
  if (formulas.length > 0 || (growing && marked.length < text.length)) void loadKatex();
  const open = growing ? openCode(marked) : null;
  return <Compiled options={{ ...options, renderRule: renderRule(formulas, open) }}>{marked}</Compiled>;
}

export default memo(Markdown);
