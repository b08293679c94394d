const IDEAS = ["Explain server-sent events in three sentences.", "Write a haiku about a network that comes back.", "Plan a weekend in Lisbon."];
const PLAYS = ["/simulate markdown", "/simulate thinking", "/simulate long 300", "/simulate help"];

/** What stands where a conversation is not begun yet. */
export function Welcome({ simulated, onPick }: { simulated: boolean; onPick: (text: string) => void }) {
  return (
    <section className="welcome">
      <h1>What shall we talk about?</h1>
      <p>Refresh, close the lid, change the device: the answer goes on, and is here when you are back.</p>
      <ul>
        {(simulated ? PLAYS : IDEAS).map((idea) => (
          <li key={idea}>
            <button type="button" className="idea" onClick={() => onPick(idea)}>{idea}</button>
          </li>
        ))}
      </ul>
    </section>
  );
}
