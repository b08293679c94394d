import { useEffect, useRef, useState } from "react";
import { useMutation } from "urql";
import { allowedIn, allowedInNew, type Allowed } from "./assistants";
import { changedOptions, supportedOptions, useLastOptions, type Options } from "./choices";
import { UpdateDocument, type AssistantFragment, type ConversationQuery, type StartQuery, type UpdateConversationInput } from "./operations";
import { mutationProblem, type Problem } from "./problems";

type Opened = NonNullable<ConversationQuery["conversation"]>;

/** What users can choose next to the message box, for the next message and those after it. */
export interface Picker {
  readonly allowed: Allowed;
  readonly options: Options;
  readonly setOptions: (options: Options) => void;
  /** The choice of another assistant; null where there is none. */
  readonly assistants: { all: readonly AssistantFragment[]; id: string; choose: (id: string) => void } | null;
  /** The options of which the server has not confirmed yet that it stores them. They are sent with the message. */
  readonly unconfirmed: Options | null;
  /** Whether a message must wait, because the assistant is being changed. */
  readonly changing: boolean;
}

/** The choices for a new conversation: at first what the user chose last. They survive a refresh. */
export function useNewPicker(assistant: AssistantFragment | undefined, start: StartQuery | undefined): Picker | null {
  const [last, setOptions] = useLastOptions(assistant?.id ?? "");
  if (!start) return null;
  const allowed = allowedInNew(assistant, start);
  return { allowed, options: supportedOptions(last, allowed), setOptions, assistants: null, unconfirmed: null, changing: false };
}

/** The choices in a conversation. They are stored with it, and apply to its next message. */
export function useRunningPicker(
  conversation: Opened | null,
  start: StartQuery | undefined,
  onProblem: (problem: Problem | null) => void,
): Picker | null {
  const [unconfirmed, setUnconfirmed] = useState<Options | null>(null);
  const [assistantId, setAssistantId] = useState<string | null>(null);
  const [, update] = useMutation(UpdateDocument);
  // The server stores choices in the order in which they were made.
  const saves = useRef({ count: 0, last: Promise.resolve() });
  // Whether the server has stored the last choice. The conversation that is read next has it.
  const stored = useRef(false);
  function forget() {
    setUnconfirmed(null);
    setAssistantId(null);
  }
  useEffect(() => {
    if (stored.current) forget();
  }, [conversation]);
  const opened = useRef(conversation?.id);
  useEffect(() => {
    opened.current = conversation?.id;
    forget();
  }, [conversation?.id]);
  const { options: kept, model, assistant } = conversation ?? {};
  if (!conversation || !start || !kept || !model) return null;
  const id = conversation.id;
  const allowed = allowedIn(conversation, start);
  const options = { model: model.id, effort: kept.effort, thinking: kept.thinking && { enabled: kept.thinking.enabled } };
  const save = (input: Omit<UpdateConversationInput, "id">) => {
    const number = ++saves.current.count;
    stored.current = false;
    saves.current.last = saves.current.last.then(async () => {
      const problem = mutationProblem(await update({ input: { id, ...input } }));
      if (opened.current !== id) return;
      onProblem(problem);
      if (number !== saves.current.count) return;
      stored.current = problem === null;
      if (problem) forget();
    });
  };
  const setOptions = (changed: Options) => {
    const next = supportedOptions(changed, allowed);
    const same = (next.effort ?? null) === options.effort && next.thinking?.enabled === options.thinking?.enabled;
    setUnconfirmed(next);
    save({
      ...(next.model && (unconfirmed || next.model !== options.model) && { model: next.model }),
      ...((unconfirmed || !same) && allowed.settings.includes("OPTIONS") && { options: changedOptions(kept, next) }),
    });
  };
  return {
    allowed,
    options: unconfirmed ?? options,
    setOptions,
    assistants: assistant && start.assistants.length > 1
      ? { all: start.assistants, id: assistantId ?? assistant.id, choose: (chosen) => { setAssistantId(chosen); save({ assistantId: chosen }); } }
      : null,
    unconfirmed,
    changing: assistantId !== null,
  };
}
