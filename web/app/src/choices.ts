import { useState } from "react";
import type { Allowed } from "./assistants";
import type { ConversationQuery, Effort, GenerationOptionsInput } from "./operations";
import { subject } from "./session";

/** What users choose next to the message box. */
export type Options = Pick<GenerationOptionsInput, "model" | "effort" | "thinking">;

const EFFORTS: readonly Effort[] = ["LOW", "MEDIUM", "HIGH", "XHIGH", "MAX"];

/** The models, efforts and thinking that users can choose together with a model. */
export interface Offers {
  /** The model that answers. */
  readonly model: Allowed["models"][number] | undefined;
  readonly efforts: readonly Effort[];
  readonly thinking: boolean;
}

export function offersFor(chosen: string | null | undefined, { models, modelId, settings }: Allowed): Offers {
  const model = models.find(({ id }) => id === chosen) ?? models.find(({ id }) => id === modelId);
  const settable = settings.includes("OPTIONS");
  return {
    model,
    efforts: settable ? EFFORTS.filter((effort) => model?.efforts?.includes(effort.toLowerCase())) : [],
    thinking: settable && (model?.thinking?.length ?? 0) > 0,
  };
}

/** Return the options without those that users cannot choose with the model. */
export function supportedOptions({ model, effort, thinking }: Options, allowed: Allowed): Options {
  const offers = offersFor(model, allowed);
  return {
    ...(model && model === offers.model?.id && allowed.settings.includes("MODEL") && { model }),
    ...(effort && offers.efforts.includes(effort) && { effort }),
    ...(thinking && offers.thinking && { thinking }),
  };
}

type Kept = NonNullable<ConversationQuery["conversation"]>["options"];

/** Return the options of a conversation with changed ones. The input replaces all, so those that the page does not show stay. */
export function changedOptions(kept: Kept, { effort, thinking }: Options): GenerationOptionsInput {
  const { toolChoice, thinking: before, ...others } = withoutTypename(kept);
  const budget = thinking?.enabled && before?.enabled ? before.budgetTokens : null;
  return {
    ...others,
    toolChoice: toolChoice && withoutTypename(toolChoice),
    effort: effort ?? null,
    thinking: thinking ? { enabled: thinking.enabled, budgetTokens: budget } : null,
  };
}

/** Return an object as input: urql adds `__typename` to what it reads. */
function withoutTypename<Value extends object>(value: Value): Value {
  const { __typename: _, ...fields } = value as Value & { __typename?: string };
  return fields as unknown as Value;
}

/** Return what the user chose last for new conversations with an assistant. It survives a refresh. */
export function useLastOptions(assistantId: string): [Options, (options: Options) => void] {
  const [, redraw] = useState(0);
  return [
    read()[assistantId] ?? {},
    (options) => {
      try {
        localStorage.setItem(storageKey(), JSON.stringify({ ...read(), [assistantId]: options }));
      } catch {
        // Storage is full or forbidden.
      }
      redraw((count) => count + 1);
    },
  ];
}

function storageKey(): string {
  return `tertulia:options:${subject()}`;
}

function read(): Record<string, Options> {
  try {
    return (JSON.parse(localStorage.getItem(storageKey()) ?? "null") as Record<string, Options> | null) ?? {};
  } catch {
    return {};
  }
}
