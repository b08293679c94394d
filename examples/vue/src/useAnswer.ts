import { apply, ended, initial, type State } from "@tertulia/stream";
import { useSubscription } from "@urql/vue";
import { computed, watch } from "vue";
import { FollowDocument, type FollowSubscription } from "./operations";

const fold = (state: State = initial, { generationEvents }: FollowSubscription) => apply(state, generationEvents);

/**
 * Follow an answer that is being written.
 *
 * The subscription begins with a snapshot of the text so far, also when graphql-ws subscribes again after a lost
 * connection. `apply` needs no special case for it.
 *
 * After the last event the complete message is stored, and `onEnd` reloads the conversation.
 */
export function useAnswer(generationId: string, onEnd: () => void) {
  const { data, error } = useSubscription({ query: FollowDocument, variables: { generationId } }, fold);
  const state = computed(() => data.value ?? initial);
  const over = computed(() => ended(state.value));
  watch(over, onEnd);
  return { state, over, error };
}
