const IDEAS = ["Explain server-sent events in three sentences.", "Write a haiku about a network that comes back.", "Plan a weekend in Lisbon."];
const SIMULATIONS = ["/simulate markdown", "/simulate thinking", "/simulate long 300", "/simulate help"];

/** The text and the suggestions that are shown before the first message. */
export function Welcome({ simulated, onPick }: { simulated: boolean; onPick: (text: string) => void }) {
  return (
    <section className="welcome">
      <h1>What shall we talk about?</h1>
      <p>You can refresh, close the laptop or change devices. The answer continues, and is here when you return.</p>
      <ul>
        {(simulated ? SIMULATIONS : IDEAS).map((idea) => (
          <li key={idea}>
            <button type="button" className="idea" onClick={() => onPick(idea)}>{idea}</button>
          </li>
        ))}
      </ul>
    </section>
  );
}
