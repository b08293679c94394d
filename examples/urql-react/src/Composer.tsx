import { useState, type FormEvent, type KeyboardEvent } from "react";

interface Props {
  send(text: string, idempotencyKey: string): Promise<boolean>;
  /** Null while no answer is being written. */
  stop: (() => void) | null;
}

/** An idempotency key for each text: repeating a send after a lost connection does not create a second message. */
const draft = (text: string) => ({ text, key: crypto.randomUUID() });

export function Composer({ send, stop }: Props) {
  const [{ text, key }, write] = useState(() => draft(""));
  const [sending, setSending] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (!text.trim() || sending || stop) return;
    setSending(true);
    if (await send(text, key)) write(draft(""));
    setSending(false);
  }

  function submitByEnter(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    event.currentTarget.form?.requestSubmit();
  }

  return (
    <form onSubmit={(event) => void submit(event)}>
      <textarea
        aria-label="Message"
        rows={3}
        value={text}
        readOnly={sending}
        onChange={(event) => write(draft(event.target.value))}
        onKeyDown={submitByEnter}
      />
      <button disabled={sending || stop !== null}>Send</button>
      {stop && (
        <button type="button" onClick={stop}>
          Stop
        </button>
      )}
    </form>
  );
}
