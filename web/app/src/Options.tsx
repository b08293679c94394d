import type { Allowed } from "./assistants";
import { t } from "./messages";
import type { Effort, GenerationOptionsInput } from "./operations";

/** The options that are sent with the first message of a new conversation. */
export interface Choices {
  readonly options: GenerationOptionsInput;
  readonly temporary: boolean;
}

export const NEW_CHOICES: Choices = { options: {}, temporary: false };

const EFFORTS: readonly Effort[] = ["LOW", "MEDIUM", "HIGH", "XHIGH", "MAX"];

interface Props {
  readonly allowed: Allowed;
  readonly options: GenerationOptionsInput;
  readonly onChange: (options: GenerationOptionsInput) => void;
}

/** The choice of the model, its effort, and thinking, as far as clients may set them. */
export function Options({ allowed: { models, modelId, settings }, options, onChange }: Props) {
  const model = models.find(({ id }) => id === options.model) ?? models.find(({ id }) => id === modelId);
  const settable = settings.includes("OPTIONS");
  const efforts = settable ? EFFORTS.filter((effort) => model?.efforts?.includes(effort.toLowerCase())) : [];
  return (
    <>
      {settings.includes("MODEL") && (
        <label>
          <span className="hidden">{t("options.model")}</span>
          <select value={model?.id ?? ""} onChange={(event) => onChange({ ...options, model: event.target.value })}>
            {models.map(({ id, displayName }) => <option key={id} value={id}>{displayName}</option>)}
          </select>
        </label>
      )}
      {efforts.length > 0 && (
        <label>
          <span className="hidden">{t("options.effort")}</span>
          <select
            value={options.effort ?? ""}
            onChange={(event) => onChange({ ...options, effort: (event.target.value || null) as Effort | null })}
          >
            <option value="">{t("options.defaultEffort")}</option>
            {efforts.map((effort) => (
              <option key={effort} value={effort}>{t(`options.effort.${effort}`)}</option>
            ))}
          </select>
        </label>
      )}
      {settable && (model?.thinking?.length ?? 0) > 0 && (
        <label>
          <span className="hidden">{t("options.thinking")}</span>
          <select
            value={options.thinking ? String(options.thinking.enabled) : ""}
            onChange={({ target }) =>
              onChange({ ...options, thinking: target.value ? { enabled: target.value === "true" } : null })}
          >
            <option value="">{t("options.defaultThinking")}</option>
            <option value="true">{t("options.withThinking")}</option>
            <option value="false">{t("options.withoutThinking")}</option>
          </select>
        </label>
      )}
    </>
  );
}
