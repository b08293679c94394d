import type { AssistantFragment, ClientSetting, SettingsFragment, StartQuery } from "./operations";
import { useRequestedAssistantId } from "./route";

/** What users can choose in a conversation. */
export interface Allowed {
  readonly settings: readonly ClientSetting[];
  readonly models: StartQuery["models"];
  /** The model that answers if the user chooses none. */
  readonly modelId: string | undefined;
  readonly tools: StartQuery["tools"];
}

/** The settings that the page offers in a new conversation on a server without assistants. */
const WITHOUT_ASSISTANTS: readonly ClientSetting[] = ["MODEL", "OPTIONS"];

/** Return the assistant of a new conversation: the one in the address, or else the default one. */
export function useNewAssistant(assistants: readonly AssistantFragment[] = []): AssistantFragment | undefined {
  const requested = useRequestedAssistantId();
  return assistants.find(({ id }) => id === requested) ?? assistants.find(({ isDefault }) => isDefault);
}

export function allowedInNew(assistant: AssistantFragment | undefined, start: StartQuery): Allowed {
  return allowed(assistant, assistant?.clientsMaySet ?? WITHOUT_ASSISTANTS, start);
}

/** Return what users can choose in a conversation. The default assistant bounds conversations from before assistants. */
export function allowedIn(conversation: SettingsFragment, start: StartQuery | undefined): Allowed {
  const bounds = conversation.assistant ?? start?.assistants.find(({ isDefault }) => isDefault);
  return allowed(bounds, conversation.clientsMaySet, start);
}

function allowed(bounds: AssistantFragment | undefined, settings: readonly ClientSetting[], start: StartQuery | undefined): Allowed {
  const { models = [], tools = [] } = start ?? {};
  if (!bounds) return { settings, models, modelId: models.find((model) => model.default)?.id, tools };
  return {
    settings,
    models: models.filter(({ id }) => bounds.models.some((model) => model.id === id)),
    modelId: bounds.model.id,
    tools: settings.includes("TOOLS") ? tools.filter(({ name }) => bounds.tools.some((pattern) => matches(name, pattern))) : [],
  };
}

/** Return whether a name is a tool's name, or matches a pattern such as `github__*`. */
function matches(name: string, pattern: string): boolean {
  // Patterns consist of letters, digits and `_*?[]!-`.
  const expression = pattern.replace(/\[(!?)([^\]]+)\]|[*?[\]]/g, (token, not: string, characters: string | undefined) =>
    characters ? `[${not && "^"}${characters}]` : ({ "*": ".*", "?": "." }[token] ?? `\\${token}`));
  return new RegExp(`^${expression}$`).test(name);
}
