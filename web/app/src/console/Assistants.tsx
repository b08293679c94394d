import { Badge } from "./facts";
import { useReading } from "./Loaded";
import { AssistantsDocument } from "./operations";
import { Table } from "./Table";
import { text } from "./texts";

/** The assistants as this server has loaded them. */
export function Assistants() {
  const { data, notice } = useReading(AssistantsDocument, {});
  return (
    <>
      <h1>{text.views.assistants}</h1>
      {notice}
      {data?.admin && (
        <Table label={text.views.assistants} rows={data.admin.assistants} keyOf={({ id }) => id} empty={text.assistants.none} columns={[
          { head: text.assistants.name, cell: ({ id, name, description, isDefault }) => (
            <>
              {name && <span dir="auto">{name}</span>} <code>{id}</code> {isDefault && <Badge>{text.assistants.default}</Badge>}
              {description && <small className="below" dir="auto">{description}</small>}
            </>
          ) },
          { head: text.assistants.state, cell: ({ problem }) => (problem === null ? text.assistants.loaded : <><Badge bad>{text.assistants.faulty}</Badge> <span dir="auto">{problem}</span></>) },
          { head: text.assistants.model, cell: ({ modelId }) => <span className="whole">{modelId ?? text.assistants.serverModel}</span> },
          { head: text.assistants.tools, cell: ({ tools }) => tools.join(", ") || text.none },
          { head: text.assistants.memory, cell: ({ memory }) => (memory ? text.assistants.yes : text.assistants.no) },
        ]} />
      )}
    </>
  );
}
