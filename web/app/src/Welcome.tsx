import { t } from "./messages";
import type { AssistantFragment, StartQuery } from "./operations";
import { requestAssistant } from "./route";

const IDEAS = ["welcome.idea1", "welcome.idea2", "welcome.idea3"] as const;
const SIMULATIONS = ["/simulate markdown", "/simulate math", "/simulate thinking", "/simulate long 300", "/simulate help"];

interface Props {
  readonly start: StartQuery;
  readonly assistant: AssistantFragment | undefined;
  readonly onPick: (text: string) => void;
}

/** The text, the assistants and the suggestions that are shown before the first message. */
export function Welcome({ start: { assistants, models }, assistant, onPick }: Props) {
  const ideas = models.some((model) => model.simulated) ? SIMULATIONS : IDEAS.map((idea) => t(idea));
  return (
    <section className="welcome">
      <h1>{t("welcome.title")}</h1>
      <p>{t("welcome.text")}</p>
      {assistant && <Assistants assistants={assistants} chosen={assistant.id} />}
      <ul>
        {(assistant?.starters ?? ideas).map((idea) => (
          <li key={idea}>
            <button type="button" className="idea" dir="auto" onClick={() => onPick(idea)}>{idea}</button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Assistants({ assistants, chosen }: { assistants: readonly AssistantFragment[]; chosen: string }) {
  return (
    <fieldset className="assistants">
      <legend className="hidden">{t("welcome.assistant")}</legend>
      {assistants.map(({ id, name, description }) => (
        <label key={id}>
          <input type="radio" name="assistant" checked={id === chosen} onChange={() => requestAssistant(id)} />
          <span dir="auto">
            <strong>{name}</strong>
            {description && <span>{description}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
