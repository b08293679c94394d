import { useState } from "react";
import { useMutation } from "urql";
import { allowedIn } from "./assistants";
import { Dialog } from "./Dialog";
import { t } from "./messages";
import {
  UpdateDocument,
  type ClientToolInput,
  type SettingsFragment,
  type StartQuery,
  type UpdateConversationInput,
} from "./operations";
import { mutationProblem, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";

export interface SettingsProps {
  readonly conversation: SettingsFragment;
  readonly start: StartQuery | undefined;
  readonly onClose: () => void;
  readonly onProblem: (problem: Problem | null) => void;
}

/** A dialog for the title of a conversation, and for the instructions and tools that clients may set. */
export default function SettingsDialog({ conversation, start, onClose, onProblem }: SettingsProps) {
  const { id } = conversation;
  // As it was when the dialog was opened. Meanwhile it may get a title, or be changed on another device.
  const [before] = useState(conversation);
  const allowed = allowedIn(conversation, start);
  const [title, setTitle] = useState(conversation.title ?? "");
  const [systemPrompt, setSystemPrompt] = useState(conversation.clientInstructions ?? "");
  const [chosen, setChosen] = useState<readonly string[] | null>(conversation.tools.server);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [{ fetching }, update] = useMutation(UpdateDocument);
  async function save() {
    // Send only what the user has changed.
    const input: UpdateConversationInput = {
      id,
      ...(title.trim() !== (before.title ?? "") && { title: title.trim() || null }),
      ...(systemPrompt !== (before.clientInstructions ?? "") && { systemPrompt: systemPrompt.trim() || null }),
      ...(chosen !== before.tools.server && { tools: { server: chosen, client: clientTools(conversation) } }),
    };
    const failure = mutationProblem(await update({ input }));
    setProblem(failure);
    if (failure) return;
    onProblem(null);
    onClose();
  }
  return (
    <Dialog title={t("header.settings")} onClose={onClose}>
      <form
        className="fields"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <label>{t("settings.title")}<input dir="auto" value={title} onChange={(event) => setTitle(event.target.value)} /></label>
        {allowed.settings.includes("INSTRUCTIONS") && (
          <label>
            {t(conversation.assistant ? "settings.instructions" : "settings.systemPrompt")}
            <textarea dir="auto" rows={4} value={systemPrompt} onChange={(event) => setSystemPrompt(event.target.value)} />
          </label>
        )}
        {allowed.tools.length > 0 && <Tools tools={allowed.tools} chosen={chosen} onChange={setChosen} />}
        <ProblemNotice problem={problem} />
        <div className="actions">
          <button type="button" className="plain" onClick={onClose}>{t("common.cancel")}</button>
          <button type="submit" className="loud" disabled={fetching}>{t("common.save")}</button>
        </div>
      </form>
    </Dialog>
  );
}

/** Return the client tools as input. `tools` replaces both lists, so they must be sent too, without urql's `__typename`. */
function clientTools({ tools }: SettingsFragment): ClientToolInput[] {
  return tools.client.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));
}

interface ToolsProps {
  readonly tools: StartQuery["tools"];
  /** The names of the tools; null for all. */
  readonly chosen: readonly string[] | null;
  readonly onChange: (chosen: readonly string[] | null) => void;
}

function Tools({ tools, chosen, onChange }: ToolsProps) {
  const names = tools.map(({ name }) => name);
  const enabled = (name: string) => chosen === null || chosen.includes(name);
  return (
    <fieldset>
      <legend>{t("settings.tools")}</legend>
      {tools.map(({ name, description, asksFirst }) => (
        <label key={name} className="check" title={description}>
          <input
            type="checkbox"
            checked={enabled(name)}
            onChange={({ target }) => {
              const changed = names.filter((other) => (other === name ? target.checked : enabled(other)));
              onChange(changed.length === names.length ? null : changed);
            }}
          />
          <code>{name}</code> {asksFirst && <small>{t("settings.requiresApproval")}</small>}
        </label>
      ))}
    </fieldset>
  );
}
