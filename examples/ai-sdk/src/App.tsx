import { useChat, type Chat } from "@ai-sdk/react";
import { getToolName, isToolUIPart } from "ai";
import { useState, type FormEvent } from "react";
import { messageOf, type TertuliaMessage } from "./tertulia";

type Part = TertuliaMessage["parts"][number];
/** Approves or denies a call; undefined if the message is not the last one. */
type Answer = ((id: string, approved: boolean) => void) | undefined;

export function App({ chat, stop }: { chat: Chat<TertuliaMessage>; stop: () => Promise<unknown> }) {
  // A resumed stream would overwrite a decision that the user makes before it ends.
  const [resume] = useState(() => !waitsForDecision(chat.lastMessage));
  const { messages, sendMessage, regenerate, status, error, addToolApprovalResponse } = useChat({ chat, resume });
  const [text, setText] = useState("");
  const [files, setFiles] = useState<FileList>();
  const busy = status === "submitted" || status === "streaming";

  const answer = (id: string, approved: boolean) => void addToolApprovalResponse({ id, approved });

  function send(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    void sendMessage({ text, ...(files && { files }) });
    setText("");
    setFiles(undefined);
    event.currentTarget.reset();
  }

  return (
    <main>
      <h1>Tertulia with the AI SDK</h1>
      <ol aria-label="Messages">
        {messages.map((message, position) => (
          <li key={message.id} data-role={message.role} aria-busy={busy && position === messages.length - 1}>
            {message.parts.map((part, index) => (
              <PartView key={index} part={part} answer={position === messages.length - 1 ? answer : undefined} />
            ))}
            {message.metadata?.error && <p>{message.metadata.error.message}</p>}
            {message.metadata?.usage?.costUsd && <small>{message.metadata.usage.costUsd} USD</small>}
          </li>
        ))}
      </ol>
      {error && <p role="alert">{messageOf(error)}</p>}
      <form onSubmit={send}>
        <textarea aria-label="Message" value={text} onChange={(event) => setText(event.target.value)} />
        <input
          aria-label="Files"
          type="file"
          multiple
          onChange={(event) => setFiles(event.target.files ?? undefined)}
        />
        {busy ? (
          <button type="button" onClick={() => void stop()}>
            Stop
          </button>
        ) : (
          <button disabled={!text.trim()}>Send</button>
        )}
        <button type="button" disabled={busy || !messages.length} onClick={() => void regenerate()}>
          Regenerate
        </button>
      </form>
    </main>
  );
}

/** Whether an answer waits for decisions of the user only. For the other calls, the resumed stream calls `onToolCall`. */
function waitsForDecision(message: TertuliaMessage | undefined): boolean {
  const states = message?.parts.filter(isToolUIPart).map((part) => part.state) ?? [];
  return states.includes("approval-requested") && !states.includes("input-available");
}

function PartView({ part, answer }: { part: Part; answer: Answer }) {
  if (part.type === "text") return <p style={{ whiteSpace: "pre-wrap" }}>{part.text}</p>;
  if (part.type === "reasoning") {
    return (
      <details>
        <summary>Thinking</summary>
        {part.text}
      </details>
    );
  }
  if (part.type === "file") return <a href={part.url}>{part.filename ?? part.mediaType}</a>;
  if (part.type === "data-compaction") return <p>Claude summarized the earlier messages.</p>;
  return isToolUIPart(part) ? <Call part={part} answer={answer} /> : null;
}

function Call({ part, answer }: { part: Extract<Part, { toolCallId: string }>; answer: Answer }) {
  const outcome = { "output-available": part.output, "output-error": part.errorText }[part.state as string];
  return (
    <section aria-label={`Tool ${getToolName(part)}`}>
      <code>{JSON.stringify(part.input)}</code>
      {outcome !== undefined && <pre>{typeof outcome === "string" ? outcome : JSON.stringify(outcome)}</pre>}
      {part.state === "approval-requested" && answer && (
        <p>
          Allow Claude to call {getToolName(part)}?{" "}
          <button type="button" onClick={() => answer(part.approval.id, true)}>
            Yes
          </button>
          <button type="button" onClick={() => answer(part.approval.id, false)}>
            No
          </button>
        </p>
      )}
    </section>
  );
}
