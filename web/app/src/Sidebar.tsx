import { BASE, at } from "./base";
import { useEffect, useState } from "react";
import { useQuery } from "urql";
import { deleted } from "./deletions";
import { Entry } from "./Entry";
import { Found } from "./Found";
import { Icon } from "./Icon";
import { t } from "./messages";
import { ConversationsDocument, type ConversationFilter } from "./operations";
import { follow } from "./route";
import { useStore } from "./store";
import { useChanges } from "./useChanges";

const PAGE = 30;
const PINNED = { pinned: true, archived: false };
const RECENT = { pinned: false, archived: false };
const ARCHIVED = { archived: true };

interface Props {
  readonly current: string | null;
  readonly name: string | undefined;
  readonly onClose: () => void;
  readonly onAccount: () => void;
}

/** The list of the viewer's conversations, and the search. */
export function Sidebar({ current, name, onClose, onAccount }: Props) {
  const [words, setWords] = useState("");
  const [archived, setArchived] = useState(false);
  const query = useSettled(words.trim(), 150);
  return (
    <nav className="side" aria-label={t("app.conversations")} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <div className="top">
        <a className="new" href={BASE} onClick={(event) => { follow(event, null); onClose(); }}>
          <Icon name="plus" /> {t("common.newConversation")}
        </a>
        <label className="hidden" htmlFor="search">{t("sidebar.search")}</label>
        <input
          id="search"
          dir="auto"
          type="search"
          placeholder={t("sidebar.search")}
          value={words}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && setWords("")}
        />
      </div>
      <div className="lists">
        {query ? (
          <Found words={query} current={current} />
        ) : archived ? (
          <>
            <List title={t("sidebar.archived")} filter={ARCHIVED} current={current} />
            <p className="note">{t("sidebar.noArchived")}</p>
          </>
        ) : (
          <>
            <List title={t("sidebar.pinned")} filter={PINNED} current={current} />
            <List title={t("sidebar.recent")} filter={RECENT} current={current} />
          </>
        )}
      </div>
      <footer>
        <button type="button" className="quiet" onClick={onAccount}><Icon name="person" /> {name ?? "…"}</button>
        <button type="button" className="quiet" aria-pressed={archived} onClick={() => setArchived(!archived)} title={t("sidebar.archived")} aria-label={t("sidebar.archived")}>
          <Icon name="archive" />
        </button>
        <a href={at("graphql")}>{t("sidebar.graphiql")}</a>
      </footer>
    </nav>
  );
}

interface ListProps {
  readonly title: string;
  readonly filter: ConversationFilter;
  readonly current: string | null;
}

function List({ title, filter, current }: ListProps) {
  const [pages, setPages] = useState<readonly (string | null)[]>([null]);
  return (
    <section>
      <h2>{title}</h2>
      <ol className="entries">
        {pages.map((after, position) => (
          <Page
            key={after}
            filter={filter}
            after={after}
            current={current}
            onMore={position === pages.length - 1 ? (cursor) => setPages([...pages, cursor]) : null}
          />
        ))}
      </ol>
    </section>
  );
}

interface PageProps {
  readonly filter: ConversationFilter;
  readonly after: string | null;
  readonly current: string | null;
  readonly onMore: ((after: string) => void) | null;
}

function Page({ filter, after, current, onMore }: PageProps) {
  const [{ data }, read] = useQuery({ query: ConversationsDocument, variables: { filter, first: PAGE, after }, requestPolicy: "cache-and-network" });
  useChanges(() => true, () => read({ requestPolicy: "network-only" }));
  const page = data?.conversations;
  const hidden = useStore(deleted);
  const end = page?.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  return (
    <>
      {page?.edges.filter(({ node }) => !hidden.has(node.id)).map(({ node }) => <Entry key={node.id} entry={node} current={node.id === current} />)}
      {end && onMore && (
        <li><button type="button" className="quiet" onClick={() => onMore(end)}>{t("sidebar.more")}</button></li>
      )}
    </>
  );
}

/** Return `value` once it has not changed for this long. */
function useSettled(value: string, milliseconds: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), value ? milliseconds : 0);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}
