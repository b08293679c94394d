import { useMutation, useQuery } from "@urql/vue";
import { computed, ref } from "vue";
import { ConversationDocument, SendDocument, StopDocument } from "./operations";

/** The conversation in the page's address, `?c=ID`, or a new one. */
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
  /** The running generation, which is also followed after a refresh or on another device. */
  const active = computed(() => data.value?.conversation?.activeGeneration?.id ?? null);
  const gone = computed(() => (data.value?.conversation === null ? "This conversation no longer exists." : null));
  const trouble = computed(() => problem.value ?? error.value?.message ?? gone.value);

  /** Send a message. Returns whether it was stored; if not, `trouble` contains the reason. */
  async function send(text: string, idempotencyKey: string): Promise<boolean> {
    problem.value = null;
    const { data, error } = await sendMessage({ text, idempotencyKey, conversationId: id.value });
    const sent = data?.sendMessage;
    if (sent?.__typename === "SendMessagePayload") {
      history.replaceState(null, "", `?c=${sent.conversation.id}`);
      id.value = sent.conversation.id;
      return true;
    }
    // InvalidInput, RateLimited and the other errors have a `message` for users. After ConversationBusy the cache
    // reloads the conversation, and this page follows the answer that another device has started.
    problem.value = sent?.message ?? `${error?.message}. Send the message again; it is answered once.`;
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
