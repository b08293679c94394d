import { useQuery } from "urql";
import { deleted } from "./deletions";
import { t } from "./messages";
import { ConversationsDocument, SearchDocument, type SearchQuery } from "./operations";
import { requestProblem } from "./problems";
import { address, follow } from "./route";
import { useStore } from "./store";
import { ProblemNotice } from "./ProblemNotice";

type Hit = SearchQuery["searchMessages"]["edges"][number];

/** Conversations whose title contains the words, then messages that match them. */
export function Found({ words, current }: { words: string; current: string | null }) {
  const [titles] = useQuery({ query: ConversationsDocument, variables: { filter: { titleContains: words }, first: 10 }, requestPolicy: "cache-and-network" });
  const [messages] = useQuery({ query: SearchDocument, variables: { query: words }, requestPolicy: "cache-and-network" });
  const hidden = useStore(deleted);
  const named = titles.data?.conversations.edges.filter(({ node }) => !hidden.has(node.id)) ?? [];
  const hits = messages.data?.searchMessages.edges.filter(({ node }) => !hidden.has(node.conversation.id)) ?? [];
  const done = !titles.fetching && !messages.fetching;
  return (
    <section className="found" aria-label={t("sidebar.results")}>
      <p className="hidden" role="status">{done ? t("sidebar.resultCount", { count: named.length + hits.length }) : ""}</p>
      <ProblemNotice problem={messages.error ? requestProblem(messages.error) : null} />
      {done && named.length + hits.length === 0 && <p className="note">{t("sidebar.noResults")}</p>}
      <ol className="entries">
        {named.map(({ node }) => (
          <li key={node.id}>
            <a dir="auto" href={address(node.id)} aria-current={node.id === current ? "page" : undefined} onClick={(event) => follow(event, node.id)}>
              {node.title}
            </a>
          </li>
        ))}
        {hits.map((hit) => (
          <li key={hit.cursor}>
            <a className="hit" dir="auto" href={address(hit.node.conversation.id, hit.node.id)} onClick={(event) => follow(event, hit.node.conversation.id, hit.node.id)}>
              <strong>{hit.node.conversation.title ?? t("common.newConversation")}</strong>
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
