import { useMutation, useQuery } from "@urql/vue";
import { computed, ref } from "vue";
import { ConversationDocument, SendDocument, StopDocument } from "./operations";

/** The conversation of the page's address, `?c=ID`, or a new one. */
export function useConversation() {
  const id = ref(new URLSearchParams(location.search).get("c"));
  const problem = ref<string | null>(null);
  const { data, error, executeQuery } = useQuery({
    query: ConversationDocument,
    variables: () => ({ id: id.value ?? "" }),
    pause: () => !id.value,
  });
  const { executeMutation: sendMessage } = useMutation(SendDocument);
  const { executeMutation: stopGeneration } = useMutation(StopDocument);

  const messages = computed(() => data.value?.conversation?.messages.edges.map(({ node }) => node) ?? []);
  /** What is being written just now: also a page that was refreshed, or opened elsewhere, follows it. */
  const active = computed(() => data.value?.conversation?.activeGeneration?.id ?? null);
  const gone = computed(() => (data.value?.conversation === null ? "This conversation is not here any more." : null));
  const trouble = computed(() => problem.value ?? error.value?.message ?? gone.value);

  /** Gives whether the message is on its way; if not, `trouble` says why. */
  async function send(text: string, idempotencyKey: string): Promise<boolean> {
    problem.value = null;
    const { data, error } = await sendMessage({ text, idempotencyKey, conversationId: id.value });
    const sent = data?.sendMessage;
    if (sent?.__typename === "SendMessagePayload") {
      history.replaceState(null, "", `?c=${sent.conversation.id}`);
      id.value = sent.conversation.id;
      return true;
    }
    // InvalidInput, RateLimited, ...: each says what is wrong, in a sentence. Behind ConversationBusy the cache reads
    // the conversation again, and the answer that another device asked for is followed here too.
    problem.value = sent?.message ?? `${error?.message}. Send it again: it is answered once.`;
    return false;
  }

  async function stop(): Promise<void> {
    if (!active.value) return;
    const { error } = await stopGeneration({ generationId: active.value });
    if (error) problem.value = error.message;
  }

  const readAgain = () => executeQuery({ requestPolicy: "network-only" });
  return { messages, active, trouble, send, stop, readAgain };
}
