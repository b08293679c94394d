import type { Block } from "@tertulia/stream";
import { dollars, number, t } from "./messages";
import type { CostFragment, GenerationStatus } from "./operations";

export function final(status: GenerationStatus): boolean {
  return status === "COMPLETED" || status === "STOPPED" || status === "FAILED";
}

/** Return the tokens and the cost of an answer, input and output apart. */
export function spent(usage: CostFragment): string {
  return withCost(t("usage.tokens", { input: number(inputTokens(usage)), output: number(usage.outputTokens) }), usage);
}

/** Return all tokens and the cost. */
export function total(usage: CostFragment): string {
  const count = inputTokens(usage) + usage.outputTokens;
  return withCost(t("usage.total", { count, tokens: number(count) }), usage);
}

export function inputTokens(usage: CostFragment): number {
  return usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens;
}

function withCost(counts: string, { costUsd }: CostFragment): string {
  const cost = dollars(costUsd);
  return cost ? `${counts}${t("common.comma")}${cost}` : counts;
}

export function written(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** Return the text of a message. */
export function textOf(blocks: readonly (Block | null)[]): string {
  return blocks.flatMap((block) => (block?.__typename === "TextBlock" && block.text ? [block.text] : [])).join("\n\n");
}
