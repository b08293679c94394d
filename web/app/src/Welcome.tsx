import type { AssistantFragment, StartQuery } from "./operations";
import { requestAssistant } from "./route";

const IDEAS = ["Explain server-sent events in three sentences.", "Write a haiku about a network that comes back.", "Plan a weekend in Lisbon."];
const SIMULATIONS = ["/simulate markdown", "/simulate thinking", "/simulate long 300", "/simulate help"];

interface Props {
  readonly start: StartQuery;
  readonly assistant: AssistantFragment | undefined;
  readonly onPick: (text: string) => void;
}

/** The text, the assistants and the suggestions that are shown before the first message. */
export function Welcome({ start: { assistants, models }, assistant, onPick }: Props) {
  const ideas = models.some((model) => model.simulated) ? SIMULATIONS : IDEAS;
  return (
    <section className="welcome">
      <h1>What shall we talk about?</h1>
      <p>You can refresh, close the laptop or change devices. The answer continues, and is here when you return.</p>
      {assistant && <Assistants assistants={assistants} chosen={assistant.id} />}
      <ul>
        {(assistant?.starters ?? ideas).map((idea) => (
          <li key={idea}>
            <button type="button" className="idea" onClick={() => onPick(idea)}>{idea}</button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Assistants({ assistants, chosen }: { assistants: readonly AssistantFragment[]; chosen: string }) {
  return (
    <fieldset className="assistants">
      <legend className="hidden">Assistant</legend>
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
