import { useEffect } from "react";
import { useQuery } from "urql";
import { t } from "./messages";
import { TagsDocument } from "./operations";
import { store, useStore } from "./store";
import { useEachChange } from "./useConversationList";

/** How often tags were changed on this page. The mutation changes conversations, and not the viewer whose tags are listed. */
export const tagChanges = store(0);

/** Return the viewer's tags, the most used first. */
export function useTags(): readonly string[] {
  const [{ data }, read] = useQuery({ query: TagsDocument });
  const tags = data?.viewer.tags.map(({ name }) => name) ?? [];
  const changes = useStore(tagChanges);
  useEffect(() => {
    if (changes > 0) read({ requestPolicy: "network-only" });
  }, [changes]);
  useEachChange(({ conversation }) => {
    if (conversation?.tags.some((tag) => !tags.includes(tag))) read({ requestPolicy: "network-only" });
  });
  return tags;
}

interface Props {
  readonly chosen: string | null;
  readonly onChoose: (tag: string | null) => void;
}

/** Buttons that filter the list by a tag. */
export function Tags({ chosen, onChoose }: Props) {
  const tags = useTags();
  const shown = chosen !== null && !tags.includes(chosen) ? [chosen, ...tags] : tags;
  if (shown.length === 0) return null;
  return (
    <div className="tags" role="group" aria-label={t("tags.filter")}>
      {shown.map((tag) => (
        <button key={tag} type="button" dir="auto" aria-pressed={tag === chosen} onClick={() => onChoose(tag === chosen ? null : tag)}>{tag}</button>
      ))}
    </div>
  );
}
