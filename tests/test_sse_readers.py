"""The documentation's reader of server-sent events accepts every form that the standard allows, split anywhere.

Source: "Server-sent events" in the HTML standard, sections 9.2.5 and 9.2.6.
"""

import json
import subprocess
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = 'Größe 👋 "quoted"\u2028 and more'
DELTA = json.dumps({"text": TEXT}, ensure_ascii=False)
START, DONE = '{"conversation_id": "c", "generation_id": "g"}', '{"response": "…", "conversation_id": "c"}'
PLAIN = f"event: start\ndata: {START}\n\nevent: delta\ndata: {DELTA}\n\nevent: done\ndata: {DONE}\n\n"
FORMS = {
    "plain": PLAIN,
    "CRLF": PLAIN.replace("\n", "\r\n"),
    "CR": PLAIN.replace("\n", "\r"),
    "a heartbeat before the start": f":\n\n{PLAIN}",
    "heartbeats between events": PLAIN.replace("\n\n", "\n\n:\n\n: still here\n\n"),
    "a comment within an event": PLAIN.replace("\ndata", "\n: a comment\ndata"),
    "ping events": PLAIN.replace("\n\n", "\n\nevent: ping\ndata: {}\n\nevent: ping\ndata: pong\n\n"),
    "an event without data": PLAIN.replace("\n\n", "\n\nevent: complete\ndata:\n\nevent: complete\n\n"),
    "no space after the colon": PLAIN.replace(": ", ":"),
    "other fields": PLAIN.replace("event:", "id: 7\nretry: 1000\nunknown\nevent:"),
    "data in several lines": PLAIN.replace('data: {"', 'data: {\ndata: "'),
    "data before the name": f"data: {DELTA}\nevent: delta\n\nevent: done\ndata: {DONE}\n\n",
    "a byte order mark": f"\ufeff{PLAIN}",
    "an event that the end cuts off": f"{PLAIN}event: del",
}


class EachByteAlone(BaseHTTPRequestHandler):
    """Serves the form that the path numbers, each byte in a separate chunk."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        form = list(FORMS.values())[int(self.path.strip("/"))].encode()
        self.wfile.write(b"".join(b"1\r\n%b\r\n" % form[at : at + 1] for at in range(len(form))) + b"0\r\n\r\n")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


@pytest.fixture
def address() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), EachByteAlone) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


HARNESS = """
const [address, forms, expected] = JSON.parse(process.argv[2]);
const fetched = globalThis.fetch;
const wrong = [];
async function check(name, response) {
  globalThis.fetch = response;
  let shown = "";
  try {
    const id = await chat("Hello", undefined, (text) => { shown += text; });
    if (id !== "c" || shown !== expected) wrong.push(`${name}: ${id} ${shown}`);
  } catch (error) {
    wrong.push(`${name}: ${error}`);
  }
}
for (const [number, [name, text]] of Object.entries(forms).entries()) {
  await check(`${name}, by bytes`, (_, init) => fetched(`${address}/${number}`, init));
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at <= bytes.length; at += 1) {
    const pieces = [bytes.slice(0, at), bytes.slice(at)];
    const body = new ReadableStream({ pull: (out) => pieces.length ? out.enqueue(pieces.shift()) : out.close() });
    await check(`${name}, cut at ${at}`, async () => new Response(body));
  }
}
await check("broken off", async () => new Response("event: start\\ndata: {}\\n\\n"));

const event = (id, name, data) => `id: ${id}\\nevent: ${name}\\ndata: ${JSON.stringify(data)}\\n\\n`;
const responses = [
  () => new Response(event(3, "delta", { text: "a" })),
  () => new Response("event: start\\ndata: {}\\n\\n"),
  () => { throw new Error("offline"); },
  () => new Response(event(5, "snapshot", { text: "ab" }) + event(6, "delta", { text: "c" }) + event(7, "done", {})),
];
const asked = [], texts = [];
const timer = globalThis.setTimeout;
globalThis.setTimeout = (work, delay, ...more) => timer(work, delay === 1000 ? 0 : delay, ...more);
globalThis.fetch = async (_, { headers }) => {
  asked.push(headers["last-event-id"] ?? null);
  return responses.shift()();
};
await follow("g", (text) => texts.push(text));
const followed = JSON.stringify([asked, texts]);
if (followed !== '[[null,"3","3","3"],["a","ab","abc"]]') wrong.push(followed);
console.log(JSON.stringify(wrong));
"""


@pytest.mark.needs("node")
def test_the_readers_of_the_guide_accept_every_form_split_anywhere_and_continue(address: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "guide-sse.md").read_text(encoding="utf-8")
    reader, follower = (fence.partition("```")[0] for fence in page.split("```js\n")[1:] if "chat/stream" in fence)
    (tmp_path / "reader.mjs").write_text(reader.partition("let shown")[0] + follower + HARNESS, encoding="utf-8")
    arguments = json.dumps([address, FORMS, TEXT])
    done = subprocess.run(
        ["node", str(tmp_path / "reader.mjs"), arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    wrong = json.loads(done.stdout)
    assert wrong == ["broken off: Error: The connection was lost. The answer continues: follow it as below."]
