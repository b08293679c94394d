import { useState, type Key, type ReactNode } from "react";
import { text } from "./texts";

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => ReactNode;
  /** Whether the column has numbers, which are aligned at their end. */
  readonly numeric?: boolean;
}

interface Props<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => Key;
  /** What is shown instead of a table without rows. */
  readonly empty: string;
  /** Whether the table is small enough for narrow screens. */
  readonly small?: boolean;
}

/** A table. On narrow screens, console.css shows each row of a large one as a list, which the roles keep a table. */
export function Table<Row>({ label, columns, rows, keyOf, empty, small = false }: Props<Row>) {
  if (rows.length === 0) return <p className="note">{empty}</p>;
  return (
    <table className={small ? "rows" : "rows stacked"} role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">{columns.map(({ head, numeric }) => <th key={head} role="columnheader" scope="col" data-numeric={numeric}>{head}</th>)}</tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row">
            {columns.map(({ head, cell, numeric }) => <td key={head} role="cell" data-head={head} data-numeric={numeric}><div>{cell(row)}</div></td>)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The cursors of the pages before the shown one. */
export interface Pages {
  readonly after: string | null;
  readonly number: number;
  next(cursor: string): void;
  previous(): void;
}

/** Page through a connection with its cursors. Another `list`, such as another search, begins at its first page. */
export function usePages(list: string): Pages {
  const [state, setState] = useState<{ list: string; cursors: readonly string[] }>({ list, cursors: [] });
  const cursors = state.list === list ? state.cursors : [];
  return {
    after: cursors.at(-1) ?? null,
    number: cursors.length + 1,
    next: (cursor) => setState({ list, cursors: [...cursors, cursor] }),
    previous: () => setState({ list, cursors: cursors.slice(0, -1) }),
  };
}

interface PageInfo {
  readonly hasNextPage: boolean;
  readonly endCursor: string | null;
}

/** Buttons for the next and the previous page. A list of one page has none. */
export function Pager({ pages, info }: { pages: Pages; info: PageInfo }) {
  const { hasNextPage, endCursor } = info;
  if (pages.number === 1 && !hasNextPage) return null;
  return (
    <nav className="pager" aria-label={text.pages}>
      <button type="button" className="plain" disabled={pages.number === 1} onClick={pages.previous}>{text.previous}</button>
      <span>{text.page(pages.number)}</span>
      <button type="button" className="plain" disabled={!hasNextPage || endCursor === null} onClick={() => endCursor !== null && pages.next(endCursor)}>{text.next}</button>
    </nav>
  );
}
