import { BASE, at } from "./base";
import { useEffect, useState } from "react";
import { Found } from "./Found";
import { Icon } from "./Icon";
import { Lists } from "./Lists";
import { t } from "./messages";
import { follow } from "./route";
import { Tags } from "./Tags";
import { useTip } from "./useShortcuts";


interface Props {
  readonly current: string | null;
  readonly name: string | undefined;
  /** Closes the drawer of a narrow screen. */
  readonly onClose: () => void;
  /** Hides the conversations. */
  readonly onFold: () => void;
  readonly onAccount: () => void;
  readonly onKeys: () => void;
}

/** The list of the viewer's conversations, and the search. */
export function Sidebar({ current, name, onClose, onFold, onAccount, onKeys }: Props) {
  const [words, setWords] = useState("");
  const [archived, setArchived] = useState(false);
  const [tag, setTag] = useState<string | null>(null);
  const query = useSettled(words.trim(), 150);
  return (
    <nav className="side" aria-label={t("app.conversations")} onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <div className="top">
        <button type="button" className="quiet fold" onClick={onFold} aria-label={t("sidebar.hide")} title={useTip("sidebar.hide", "sidebar")}><Icon name="menu" /></button>
        <a className="new" href={BASE} title={useTip("common.newConversation", "new")} onClick={(event) => { follow(event, null); onClose(); }}>
          <Icon name="plus" /> {t("common.newConversation")}
        </a>
        <label className="hidden" htmlFor="search">{t("sidebar.search")}</label>
        <input
          id="search"
          dir="auto"
          type="search"
          title={useTip("sidebar.search", "search")}
          placeholder={t("sidebar.search")}
          value={words}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && setWords("")}
        />
      </div>
      <div className="lists">
        {query && <Found words={query} current={current} />}
        <div hidden={query !== ""}>
          <Tags chosen={tag} onChoose={setTag} />
          <Lists key={`${archived} ${tag}`} filter={{ archived, tag }} current={current} />
        </div>
      </div>
      <footer>
        <button type="button" className="quiet" onClick={onAccount}><Icon name="person" /> {name ?? "…"}</button>
        <button type="button" className="quiet" aria-pressed={archived} onClick={() => setArchived(!archived)} title={t("sidebar.archived")} aria-label={t("sidebar.archived")}>
          <Icon name="archive" />
        </button>
        <button type="button" className="quiet" onClick={onKeys} aria-label={t("keys.title")} title={useTip("keys.title", "help")}><Icon name="keyboard" /></button>
        <a href={at("graphql")}>{t("sidebar.graphiql")}</a>
      </footer>
    </nav>
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
