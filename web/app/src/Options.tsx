import { offersFor, type Options as Chosen } from "./choices";
import { t } from "./messages";
import type { Effort } from "./operations";
import type { Picker } from "./usePicker";

/** The choice of the assistant, the model, its effort, and thinking, as far as clients may set them. */
export function Options({ picker: { allowed, options, setOptions, assistants }, busy }: { picker: Picker; busy: boolean }) {
  const { model, efforts, thinking } = offersFor(options.model, allowed);
  const change = (changes: Chosen) => setOptions({ ...options, ...changes });
  return (
    <>
      {assistants && (
        <label title={busy ? t("options.assistantBusy") : undefined}>
          <span className="hidden">{t("welcome.assistant")}</span>
          <select value={assistants.id} disabled={busy} onChange={({ target }) => assistants.choose(target.value)}>
            {assistants.all.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
          </select>
        </label>
      )}
      {allowed.settings.includes("MODEL") && (
        <label>
          <span className="hidden">{t("options.model")}</span>
          <select value={model?.id ?? ""} onChange={({ target }) => change({ model: target.value })}>
            {allowed.models.map(({ id, displayName }) => <option key={id} value={id}>{displayName}</option>)}
          </select>
        </label>
      )}
      {efforts.length > 0 && (
        <label>
          <span className="hidden">{t("options.effort")}</span>
          <select value={options.effort ?? ""} onChange={({ target }) => change({ effort: (target.value || null) as Effort | null })}>
            <option value="">{t("options.defaultEffort")}</option>
            {efforts.map((effort) => <option key={effort} value={effort}>{t(`options.effort.${effort}`)}</option>)}
          </select>
        </label>
      )}
      {thinking && (
        <label>
          <span className="hidden">{t("options.thinking")}</span>
          <select
            value={options.thinking ? String(options.thinking.enabled) : ""}
            onChange={({ target }) => change({ thinking: target.value ? { enabled: target.value === "true" } : null })}
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
