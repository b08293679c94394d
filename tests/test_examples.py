"""The browser examples: their documents and types match the schema, and each resumes an answer in a real browser."""

import json
import os
import re
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import graphql
import pytest
from client import Api
from npm import run
from programs import chromium
from running import killed_after, tertulia

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
BIN = ROOT / "node_modules" / ".bin"
IN_BROWSER = ("apollo-react", "urql-react", "vue")
WITHOUT_GRAPHQL = ("ag-ui", "ai-sdk")
WITH_DOCUMENTS = sorted(
    f"{path.parent.name}/{path.name}"
    for name in ("src", "page")
    for path in EXAMPLES.glob(f"*/{name}")
    if path.parent.name not in WITHOUT_GRAPHQL
)

DOCUMENT = re.compile(r"`(\s*(?:query|mutation|subscription|fragment)\b[^`{]*\{[^`]*)`")
CONSTANT = re.compile(r"const (\w+) = (?:gql|/\* GraphQL \*/ )?(?:`([^`]*)`|\"([^\"\n]*)\")")


@pytest.fixture(scope="module")
def schema() -> graphql.GraphQLSchema:
    return graphql.build_schema((ROOT / "schema" / "schema.graphql").read_text())


def documents(folder: Path) -> Iterator[str]:
    """Yield the GraphQL documents in a folder, with their constants inserted."""
    sources = [path.read_text() for path in folder.rglob("*") if path.suffix in {".ts", ".tsx", ".vue", ".js", ".mjs"}]
    constants = {name: "".join(text) for source in sources for name, *text in CONSTANT.findall(source)}

    def value(match: re.Match[str]) -> str:
        # Generated documents name their fragments, which are also documents.
        return "" if match[1].endswith("FragmentDoc") else filled(constants[match[1]])

    def filled(text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", value, text)

    yield from (path.read_text() for path in folder.rglob("*.graphql"))
    yield from (filled(text) for source in sources for text in DOCUMENT.findall(source))


def definitions(folder: Path) -> tuple[graphql.ExecutableDefinitionNode, ...]:
    """Return the distinct operations and fragments in a folder."""
    distinct: dict[str, graphql.ExecutableDefinitionNode] = {}
    for document in documents(folder):
        for definition in graphql.parse(document).definitions:
            assert isinstance(definition, graphql.ExecutableDefinitionNode)
            distinct[graphql.print_ast(definition)] = definition
    return tuple(distinct.values())


@pytest.mark.parametrize("folder", WITH_DOCUMENTS)
def test_every_document_of_an_example_is_valid(folder: str, schema: graphql.GraphQLSchema) -> None:
    executables = definitions(EXAMPLES / folder)
    # The documents are validated as one, which shares their fragments. So the rules for single documents do not apply.
    per_document = {graphql.NoUnusedFragmentsRule, graphql.LoneAnonymousOperationRule}
    rules = [rule for rule in graphql.specified_rules if rule not in per_document]
    assert graphql.validate(schema, graphql.DocumentNode(definitions=executables), rules) == []
    operations = [executable for executable in executables if isinstance(executable, graphql.OperationDefinitionNode)]
    assert graphql.OperationType.SUBSCRIPTION in {operation.operation for operation in operations}


def test_the_possible_types_of_the_apollo_example_are_those_of_the_schema(schema: graphql.GraphQLSchema) -> None:
    source = (EXAMPLES / "apollo-react" / "src" / "possibleTypes.ts").read_text()
    stated = {name: re.findall(r"\w+", types) for name, types in re.findall(r"(\w+): \[([^\]]*)\]", source)}
    assert stated
    for name, types in stated.items():
        abstract = schema.get_type(name)
        assert graphql.is_abstract_type(abstract)
        assert sorted(possible.name for possible in schema.get_possible_types(abstract)) == types


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/package.json")))
def test_an_example_can_be_copied_out_of_the_repository(example: str) -> None:
    folder, package = EXAMPLES / example, ROOT / "web" / "packages" / "stream"
    manifest = json.loads((folder / "package.json").read_text())
    assert manifest["engines"]["node"]
    # Nobody can publish a package under a name that is a folder. The other versions are exact.
    versions = manifest["dependencies"] | manifest["devDependencies"]
    stream = versions.pop("@tertulia/stream", None)
    assert [name for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert stream == ("file:stream" if (folder / "stream").exists() else None)
    files = [*json.loads((package / "package.json").read_text())["files"], "package.json"] if stream else []
    assert {path.name for path in folder.glob("stream/*")} == {*files}
    for name in files:
        copied = folder / "stream" / name
        assert copied.read_text() == (package / name).read_text(), f"cp {package / name} {copied}"
    # Only the generator of operations.ts looks outside of the folder, and reads the schema of a server instead.
    sources = [path for path in folder.rglob("*.ts*") if "node_modules" not in path.parts]
    outside = {
        path.name for path in sources if re.search(r"""["'](?:\.\./)+(?:web|schema|node_modules)/""", path.read_text())
    }
    assert outside <= {"codegen.ts"}


def vite(example: str, folder: Path, *words: str) -> dict[str, Any]:
    """Return the arguments for `subprocess` that start Vite on an example. Its page is built in `folder`/`example`."""
    command = [BIN / "vite", *words, "--outDir", folder / example]
    return {"args": command, "cwd": EXAMPLES / example, "text": True}


def build(example: str, folder: Path) -> None:
    done = subprocess.run(**vite(example, folder, "build"), capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def preview(example: str, folder: Path, server: str) -> Generator[str]:
    """Serve a built example and yield its address."""
    words = vite(example, folder, "preview", "--host", "127.0.0.1", "--port", "0")
    variables = os.environ | {"TERTULIA_URL": server, "NO_COLOR": "1"}
    with subprocess.Popen(**words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            matches = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stdout)
            with killed_after(process):
                address = next(match[0] for match in matches if match)
            yield address
        finally:
            process.terminate()


@pytest.mark.needs("chromium", "node", "npm", "node_modules", "tests/node")
@pytest.mark.parametrize(
    "example", [IN_BROWSER[0], *(pytest.param(name, marks=pytest.mark.chaos) for name in IN_BROWSER[1:])]
)
def test_an_example_keeps_an_answer_through_a_refresh_a_lost_network_and_a_stop(example: str, tmp_path: Path) -> None:
    build(example, tmp_path)
    with (
        tertulia(tmp_path, simulator_pace=1.2) as server,
        Api(server) as api,
        preview(example, tmp_path, server) as page,
    ):
        report = run("example.mjs", chromium(), f"{example}={page}")[example]
        assert "error" not in report, report
        check(report, api)


def check(report: dict[str, Any], api: Api) -> None:
    """Compare what the browser showed during tests/node/example.mjs with what is stored."""
    stored = api.messages(report["address"].partition("?c=")[2])
    asked = [message["text"] for message in stored if message["role"] == "USER"]
    greeted, whole, stopped, failed = (message for message in stored if message["role"] == "ASSISTANT")
    assert "Ada" in greeted["text"]
    assert report["greeting"] == greeted["text"]

    # A message whose response was lost was sent again with the same idempotency key.
    assert asked == ["Hello, my name is Ada", "/simulate long 400", "/simulate long 2000", "/simulate error 1 reject"]
    first, again, *later = report["keys"]
    assert first == again
    assert len({first, *later}) == 3
    assert report["unheard"]
    # The other page got ConversationBusy, kept its draft, and followed the answer.
    assert report["busy"] == "The conversation is already being answered."
    assert report["draft"] == "And I?"

    assert grows(*report["refreshed"].values())
    assert grows(*report["cut"].values())
    assert whole["text"] == " ".join(f"word{number}" for number in range(1, 401)) + "."
    assert report["answers"] == [whole["text"]] * 3
    assert report["roles"] == ["user", "assistant"] * 2

    assert grows(*report["stopped"].values())
    assert report["stopped"]["after"] == stopped["text"]
    assert stopped["generation"]["status"] == "STOPPED"
    assert "word2000" not in stopped["text"]
    problem = failed["generation"]["error"]["message"]
    assert report["failed"] == {"text": failed["text"], "alert": problem, "refreshed": problem}
    assert report["lost"] == []
    assert report["problems"] == []


def grows(*texts: str) -> bool:
    """Return whether each text starts with the previous one."""
    return all(text and later.startswith(text) for text, later in pairwise(texts))
