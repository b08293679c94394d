import { useState } from "react";
import { saveFile } from "./ownFiles";
import { at } from "./base";
import { t } from "./messages";
import { problemOf, type Problem } from "./problems";
import { ProblemNotice } from "./ProblemNotice";
import { serverInfo } from "./serverInfo";
import { authorization } from "./session";
import { useStore } from "./store";

/** Buttons that export all conversations of the viewer, and import a file. Nothing on a server without these routes. */
export function YourData() {
  const server = useStore(serverInfo);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [done, setDone] = useState("");
  const has = (route: string) => server === null || route in server.links;
  async function run(work: () => Promise<string>) {
    setBusy(true);
    setProblem(null);
    setDone("");
    await work().then(setDone, (error: Error) => setProblem(problemOf(error.message)));
    setBusy(false);
  }
  const exportAll = (format: "jsonl" | "markdown", ending: string) => run(async () => {
    if (!(await saveFile(at(`export?format=${format}`), `tertulia.${ending}`))) throw new Error(t("data.exportFailed"));
    return t("data.exported");
  });
  if (!has("export") && !has("import")) return null;
  return (
    <>
      <h3>{t("data.title")}</h3>
      <p className="note">{t("data.text")}</p>
      <div className="row">
        {has("export") && (
          <>
            <button type="button" className="plain" disabled={busy} onClick={() => void exportAll("jsonl", "jsonl")}>{t("data.export")}</button>
            <button type="button" className="plain" disabled={busy} onClick={() => void exportAll("markdown", "md")}>{t("data.exportMarkdown")}</button>
          </>
        )}
        {has("import") && (
          <label className="plain attach">
            {t("data.import")}
            <input
              type="file"
              className="hidden"
              accept=".jsonl,.json,.zip"
              disabled={busy}
              onChange={({ target }) => {
                const file = target.files?.[0];
                target.value = "";
                if (file) void run(() => importFile(file));
              }}
            />
          </label>
        )}
      </div>
      <p className="note" role="status">{busy ? t("data.working") : done}</p>
      <ProblemNotice problem={problem} />
    </>
  );
}

async function importFile(file: File): Promise<string> {
  const form = new FormData();
  form.append("file", file, file.name);
  const response = await fetch(at("import"), { method: "POST", body: form, headers: await authorization() }).catch(() => null);
  if (!response) throw new Error(t("problem.unreachable"));
  const body = (await response.json().catch(() => null)) as { conversation_ids?: string[]; error?: { message?: string } } | null;
  if (!body?.conversation_ids) throw new Error(body?.error?.message ?? t("problem.fileRefused"));
  return t("data.imported", { count: body.conversation_ids.length });
}
