import { useConversations, type ListFilter } from "@tertulia/react";
import { useEffect, useRef } from "react";
import { deleted } from "./deletions";
import { Entry } from "./Entry";
import { grouped, type Group } from "./listing";
import { month, t } from "./messages";
import type { EntryFragment } from "./operations";
import { useStore } from "./store";

interface Props {
  readonly filter: Omit<ListFilter, "pinned">;
  readonly current: string | null;
}

/** The pinned conversations, then the others by date. More are loaded as the user scrolls. */
export function Lists({ filter, current }: Props) {
  const pinned = useVisible({ ...filter, pinned: true });
  const others = useVisible({ ...filter, pinned: false });
  return (
    <>
      {filter.archived && <p className="note view">{t("sidebar.archived")}</p>}
      {pinned.entries.length > 0 && <Section title={t("sidebar.pinned")} entries={pinned.entries} current={current} />}
      {pinned.more && <More onMore={pinned.more} failed={pinned.failed} />}
      {grouped(others.entries, new Date()).map((group) => (
        <Section key={titleOf(group)} title={titleOf(group)} entries={group.entries} current={current} />
      ))}
      {others.more && <More onMore={others.more} failed={others.failed} />}
      {pinned.empty && others.empty && (filter.archived || filter.tag !== null) && (
        <p className="note">{t(filter.archived ? "sidebar.noArchived" : "sidebar.noTagged")}</p>
      )}
    </>
  );
}

function useVisible(filter: ListFilter) {
  const { list, more, failed } = useConversations(filter);
  const hidden = useStore(deleted);
  const entries = (list?.entries ?? []).filter(({ id }) => !hidden.has(id));
  return { entries, more, failed, empty: list !== null && entries.length === 0 };
}

function titleOf({ period, at }: Group): string {
  return period === "month" ? month(at) : t(`sidebar.${period}`);
}

interface SectionProps {
  readonly title: string;
  readonly entries: readonly EntryFragment[];
  readonly current: string | null;
}

function Section({ title, entries, current }: SectionProps) {
  return (
    <section>
      <h2>{title}</h2>
      <ol className="entries">
        {entries.map((entry) => <Entry key={entry.id} entry={entry} current={entry.id === current} />)}
      </ol>
    </section>
  );
}

/** A button that loads more, also when it is about to be scrolled into view. After a failure, it waits for the user. */
function More({ onMore, failed }: { onMore: () => void; failed: boolean }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const element = button.current;
    if (!element || failed) return;
    const observer = new IntersectionObserver(([seen]) => seen?.isIntersecting && onMore(), {
      root: element.closest(".lists"), rootMargin: "600px",
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return <button ref={button} type="button" className="quiet more" onClick={onMore}>{t("sidebar.more")}</button>;
}
