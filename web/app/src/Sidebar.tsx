import { BASE, at } from "./base";
import { useEffect, useState } from "react";
import { useQuery } from "urql";
import { Entry } from "./Entry";
import { Found } from "./Found";
import { Icon } from "./Icon";
import { ConversationsDocument, type ConversationFilter } from "./operations";
import { follow } from "./route";
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
    <nav className="side" aria-label="Conversations" onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <div className="top">
        <a className="new" href={BASE} onClick={(event) => { follow(event, null); onClose(); }}>
          <Icon name="plus" /> New conversation
        </a>
        <label className="hidden" htmlFor="search">Search</label>
        <input
          id="search"
          dir="auto"
          type="search"
          placeholder="Search"
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
            <List title="Archived" filter={ARCHIVED} current={current} />
            <p className="note">No archived conversations.</p>
          </>
        ) : (
          <>
            <List title="Pinned" filter={PINNED} current={current} />
            <List title="Recent" filter={RECENT} current={current} />
          </>
        )}
      </div>
      <footer>
        <button type="button" className="quiet" onClick={onAccount}><Icon name="person" /> {name ?? "…"}</button>
        <button type="button" className="quiet" aria-pressed={archived} onClick={() => setArchived(!archived)} title="Archived" aria-label="Archived">
          <Icon name="archive" />
        </button>
        <a href={at("graphql")}>GraphiQL</a>
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
  const end = page?.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  return (
    <>
      {page?.edges.map(({ node }) => <Entry key={node.id} entry={node} current={node.id === current} />)}
      {end && onMore && (
        <li><button type="button" className="quiet" onClick={() => onMore(end)}>More</button></li>
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
