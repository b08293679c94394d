import { useQuery } from "urql";
import { ConversationsDocument, SearchDocument, type SearchQuery } from "./operations";
import { address, follow } from "./route";
import { sentence } from "./words";

type Hit = SearchQuery["searchMessages"]["edges"][number];

/** Conversations whose title contains the words, then messages that match them. */
export function Found({ words, current }: { words: string; current: string | null }) {
  const [titles] = useQuery({ query: ConversationsDocument, variables: { filter: { titleContains: words }, first: 10 } });
  const [messages] = useQuery({ query: SearchDocument, variables: { query: words } });
  const named = titles.data?.conversations.edges ?? [];
  const hits = messages.data?.searchMessages.edges ?? [];
  const done = !titles.fetching && !messages.fetching;
  return (
    <section className="found" aria-label="Search results">
      <p className="hidden" role="status">{done ? `${named.length + hits.length} results` : ""}</p>
      {messages.error && <p className="notice trouble" role="alert">{sentence(messages.error)}</p>}
      {done && named.length + hits.length === 0 && <p className="note">No results.</p>}
      <ol className="entries">
        {named.map(({ node }) => (
          <li key={node.id}>
            <a dir="auto" href={`/?c=${node.id}`} aria-current={node.id === current ? "page" : undefined} onClick={(event) => follow(event, node.id)}>
              {node.title}
            </a>
          </li>
        ))}
        {hits.map((hit) => (
          <li key={hit.cursor}>
            <a className="hit" dir="auto" href={address(hit.node.conversation.id, hit.node.id)} onClick={(event) => follow(event, hit.node.conversation.id, hit.node.id)}>
              <strong>{hit.node.conversation.title ?? "New conversation"}</strong>
              <span><Marked hit={hit} /></span>
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Marked({ hit: { excerpt, highlights } }: { hit: Hit }) {
  const pieces = highlights.flatMap(({ start, end }, position) => {
    const before = excerpt.slice(highlights[position - 1]?.end ?? 0, start);
    return [before, <mark key={start}>{excerpt.slice(start, end)}</mark>];
  });
  return <>{pieces}{excerpt.slice(highlights.at(-1)?.end ?? 0)}</>;
}
