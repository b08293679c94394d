import { apply, ended, initial, type State } from "@tertulia/stream";
import { useSubscription } from "@urql/vue";
import { computed, watch } from "vue";
import { FollowDocument, type FollowSubscription } from "./operations";

const fold = (state: State = initial, { generationEvents }: FollowSubscription) => apply(state, generationEvents);

/**
 * Follow an answer that is being written.
 *
 * The subscription begins with a snapshot of all that is there. So it does when graphql-ws subscribes again behind a
 * lost socket: `apply` is then right without a word about it.
 *
 * Behind the last event the message is stored, whole: `onEnd` reads the conversation again.
 */
export function useAnswer(generationId: string, onEnd: () => void) {
  const { data, error } = useSubscription({ query: FollowDocument, variables: { generationId } }, fold);
  const state = computed(() => data.value ?? initial);
  const over = computed(() => ended(state.value));
  watch(over, onEnd);
  return { state, over, error };
}
