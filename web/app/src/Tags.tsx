import { useConversationChanges } from "@tertulia/react";
import { useEffect, useRef } from "react";
import { useQuery } from "urql";
import { returns } from "./client";
import { t } from "./messages";
import { TagsDocument } from "./operations";
import { useStore } from "./store";

/** Return the viewer's tags, the most used first, also after a change on another device. */
export function useTags(): readonly string[] {
  const [{ data }, read] = useQuery({ query: TagsDocument });
  const tags = data?.viewer.tags.map(({ name }) => name) ?? [];
  const readAgain = () => read({ requestPolicy: "network-only" });
  const seen = useRef(new Map<string, string>());
  useConversationChanges(({ conversationId, conversation }) => {
    const before = seen.current.get(conversationId);
    const now = conversation?.tags.join("\n") ?? "";
    seen.current.set(conversationId, now);
    // At a conversation's first change, its tags before are not known.
    if (before !== now && (now || tags.length > 0)) readAgain();
  });
  const reconnected = useStore(returns);
  useEffect(() => {
    if (reconnected > 0) readAgain();
  }, [reconnected]);
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
