/** A formula in a text, or a character of the text that looks like a placeholder. */
export interface Formula {
  readonly tex: string;
  /** Whether the formula has its own line. */
  readonly display: boolean;
  /** The text with its delimiters, which is shown if the formula cannot be rendered. */
  readonly source: string;
}

export interface WithFormulas {
  /** The text with a placeholder for each formula: one character, so that Markdown does not interpret the formula. */
  readonly text: string;
  readonly formulas: readonly Formula[];
}

/** The placeholders: characters for private use, in the order of the formulas. */
const FIRST = 0xe000;
const LAST = 0xf8ff;
const PLACEHOLDER = /[\uE000-\uF8FF]/;

const CODE = [
  // A fenced block, also in a list or a quote, and also if it has no end yet.
  String.raw`^(?:[ \t]|>|(?:[-*+]|\d+[.)])[ \t])*(?<fence>${"`{3,}"}|~{3,})(?:[^${"`"}\n]*)$[^]*?(?:^[ \t>]*\k<fence>|$(?![^]))`,
  String.raw`(?<ticks>${"`+"})(?!${"`"})(?:(?!\n\s*\n)[^])*?[^${"`"}]\k<ticks>(?!${"`"})`,
].join("|");
/** The target of a link, escaped backslashes and escaped dollar signs are text. */
const TEXT = String.raw`\]\((?:\\.|[^()\s\\]|\([^()\s]*\))*\)|\\\\|\\\$`;
const FORMULA = [
  String.raw`\$\$(?<dollars>(?:\\.|[^\\$])+?)\$\$`,
  String.raw`\\\[(?<brackets>[^]+?)\\\]`,
  String.raw`\\\((?<parentheses>(?:(?!\n\s*\n)[^])+?)\\\)`,
  // As in Pandoc, so that "$5 and $10" is text.
  String.raw`(?<![\w$])\$(?<dollar>(?![\s$])(?:\\.|[^\\$\n])*?(?<!\s))\$(?![\w$])`,
].join("|");
const TOKENS = new RegExp(`${CODE}|${TEXT}|${FORMULA}|${PLACEHOLDER.source}`, "gm");
/** The beginning of a formula whose end has not arrived. */
const BEGINNING = new RegExp(`${CODE}|${TEXT}|${PLACEHOLDER.source}|(?<begun>(?:\\$\\$|\\\\\\[|\\\\\\()[^]*$(?![^])|[\\\\$]$(?![^]))`, "gm");

/** Replace the formulas of a Markdown text. In a growing text, an unfinished formula at the end is left out. */
export function extractFormulas(markdown: string, growing: boolean): WithFormulas {
  const formulas: Formula[] = [];
  if (!/[$\\]/.test(markdown)) return { text: markdown, formulas };
  const text = markdown.replace(TOKENS, (token, ...rest) => {
    const { dollars, brackets, parentheses, dollar } = rest.at(-1) as Record<string, string | undefined>;
    const tex = dollars ?? brackets ?? parentheses ?? dollar;
    if ((tex === undefined && !PLACEHOLDER.test(token)) || formulas.length > LAST - FIRST) return token;
    formulas.push({ tex: tex ?? "", display: (dollars ?? brackets) !== undefined, source: token });
    return String.fromCharCode(FIRST + formulas.length - 1);
  });
  return { text: growing ? withoutBeginning(text) : text, formulas };
}

function withoutBeginning(text: string): string {
  return text.replace(BEGINNING, (token, ...rest) => ((rest.at(-1) as { begun?: string }).begun === undefined ? token : ""));
}

/** Return the formula of a source with its delimiters; null if it is a character that looks like a placeholder. */
export function formulaOf(source: string): Formula | null {
  const length = /^(?:\$\$|\\[[(])/.test(source) ? 2 : 1;
  const tex = source.slice(length, -length);
  return tex === "" ? null : { tex, display: /^(?:\$\$|\\\[)/.test(source), source };
}

/** Split a text with placeholders into texts and formulas. */
export function splitFormulas(text: string, formulas: readonly Formula[]): (string | Formula)[] {
  return text.split(/([\uE000-\uF8FF])/).flatMap((piece) => {
    const formula = PLACEHOLDER.test(piece) ? formulas[piece.charCodeAt(0) - FIRST] : undefined;
    return formula ?? (piece || []);
  });
}
