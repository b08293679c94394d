import { useState } from "react";
import { useReading } from "./Loaded";
import { ServerSettingsDocument, type ServerSettingsQuery } from "./operations";
import { Table } from "./Table";
import { text } from "./texts";

type Setting = NonNullable<ServerSettingsQuery["admin"]>["settings"][number];

/** The settings of the server without its secrets. */
export function ServerSettings() {
  const { data, notice } = useReading(ServerSettingsDocument, {});
  const [filter, setFilter] = useState("");
  const [changed, setChanged] = useState(true);
  const settings = data?.admin?.settings;
  const wanted = filter.trim().toUpperCase();
  return (
    <>
      <h1>{text.views.settings}</h1>
      <p className="note">{text.settings.note}</p>
      <div className="bar">
        <label className="grows">{text.settings.filter}<input type="search" value={filter} autoComplete="off" spellCheck={false} onChange={({ target }) => setFilter(target.value)} /></label>
        <label className="check"><input type="checkbox" checked={changed} onChange={({ target }) => setChanged(target.checked)} />{text.settings.changed}</label>
      </div>
      {notice}
      {settings && (
        <Table label={text.views.settings} rows={settings.filter(({ name, isDefault }) => (!changed || !isDefault) && name.toUpperCase().includes(wanted))} keyOf={({ name }) => name} empty={text.settings.empty} columns={[
          { head: text.settings.name, cell: ({ name }) => <code>{name}</code> },
          { head: text.settings.value, cell: (setting) => <code className="breaks">{valueOf(setting)}</code> },
        ]} />
      )}
    </>
  );
}

function valueOf({ value, isSet, isSecret }: Setting): string {
  if (isSecret && isSet) return text.settings.secret;
  return value === "" ? text.settings.blank : (value ?? text.settings.unset);
}
