"""The npm packages in web/packages, packed as they are published and used in an app outside of the repository."""

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from fences import fences

ROOT = Path(__file__).parent.parent
PACKAGES = ROOT / "web" / "packages"
NODE_MODULES = ROOT / "node_modules"
NAMES = ("stream", "react", "chat")
OWN_TYPES = {"rootDir", "outDir", "declaration", "rewriteRelativeImportExtensions", "skipLibCheck"}
"""Options for building a package, which an app does not have."""
pytestmark = pytest.mark.needs("node", "npm", "node_modules")

# What Next.js does with a client component on the server.
SERVER = """
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { createClient, TertuliaProvider, useAnswer, useConversation, useConversations, useSend, useToolCalls, useUpload } from "@tertulia/react";

function Chat() {
  const { list } = useConversations();
  const { messages } = useConversation("one");
  useSend(null);
  useToolCalls(null, null);
  const { files } = useUpload();
  const { text } = useAnswer("one");
  return JSON.stringify([list, messages, files, text]);
}
await import("@tertulia/chat");
console.log(renderToString(createElement(TertuliaProvider, { client: createClient() }, createElement(Chat))));
"""
BUILD = 'import "./app.tsx";\nimport "./element.tsx";\nimport "./src/App.tsx";'


def output(folder: Path, *command: str | Path) -> str:
    """Run a command to its end and return what it printed."""
    variables = os.environ | {"NEXT_TELEMETRY_DISABLED": "1"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pack(folder: Path) -> dict[str, Path]:
    """Build and pack copies of the packages, and return the archives by the names of their folders."""
    (folder / "node_modules").symlink_to(NODE_MODULES)
    for name in NAMES:
        ignored = shutil.ignore_patterns("dist", "node_modules")
        shutil.copytree(PACKAGES / name, folder / name, ignore=ignored)
    listed = json.loads(
        output(folder, "npm", "pack", "--json", "--no-update-notifier", *(f"./{name}" for name in NAMES))
    )
    # npm 12 lists the packages by their names.
    entries = listed.values() if isinstance(listed, dict) else listed
    return {entry["name"].rpartition("/")[2]: folder / entry["filename"] for entry in entries}


def extract(packed: dict[str, Path], modules: Path) -> None:
    """Install the packed files into a folder `node_modules`."""
    for name, archive in packed.items():
        with tarfile.open(archive) as opened:
            opened.extractall(modules.parent / "packed" / name, filter="data")
        (modules / "@tertulia").mkdir(parents=True, exist_ok=True)
        (modules.parent / "packed" / name / "package").rename(modules / "@tertulia" / name)


def example(package: str, comment: str) -> str:
    """Return the code block of a package's README whose comment contains some words."""
    (block,) = (fence for fence in fences(PACKAGES / package / "README.md") if comment in (fence.not_run or ""))
    return block.text


def guide_app() -> dict[str, str]:
    """Return the sources of the app in docs/guide-react.md, by their paths."""
    blocks = [fence.text for fence in fences(ROOT / "docs" / "guide-react.md") if fence.text.startswith("// src/")]
    return {text.partition("\n")[0].removeprefix("// "): text for text in blocks}


def install(folder: Path, packed: dict[str, Path]) -> None:
    """Make a folder an app with the packed files, the installed packages of others, and the examples of the READMEs."""
    modules = folder / "node_modules"
    extract(packed, modules)
    for other in (*NODE_MODULES.iterdir(), *(NODE_MODULES / "@types").iterdir()):
        target = modules / other.relative_to(NODE_MODULES)
        if other.name not in {"@tertulia", "@types"} and not other.name.startswith("."):
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(other)
    (folder / "package.json").write_text('{"type": "module"}')
    options = json.loads((PACKAGES / "react" / "tsconfig.json").read_text())["compilerOptions"]
    options = {name: value for name, value in options.items() if name not in OWN_TYPES}
    options |= {"module": "esnext", "moduleResolution": "bundler", "noEmit": True, "allowImportingTsExtensions": True}
    options["skipDefaultLibCheck"] = True
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["*.tsx", "src/*"]}))
    (folder / "app.tsx").write_text(example("react", "compiles it"))
    (folder / "element.tsx").write_text(example("chat", "compiles it"))
    (folder / "src").mkdir()
    for name, text in guide_app().items():
        (folder / name).write_text(text)
    (folder / "server.mjs").write_text(SERVER)
    (folder / "main.js").write_text(BUILD)
    (folder / "index.html").write_text('<script type="module" src="/main.js"></script>')


def check_contents(name: str, archive: Path) -> None:
    """Check that a packed package contains its licence, its README and all files that it exports, and no sources."""
    with tarfile.open(archive) as opened:
        files = {member.name.removeprefix("package/") for member in opened.getmembers()}
    manifest = json.loads((PACKAGES / name / "package.json").read_text())
    exported = {path.removeprefix("./") for path in manifest["exports"]["."].values()}
    assert {"LICENSE", "README.md", "package.json", *exported} <= files
    assert not [file for file in files if re.search(r"(^|/)(src|test|node_modules)/|tsconfig", file)]
    assert (PACKAGES / name / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_packed_packages_work_in_an_app_outside_of_the_repository(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    (tmp_path / "packages").mkdir()
    packed = pack(tmp_path / "packages")
    assert set(packed) == set(NAMES)
    for name, archive in packed.items():
        with subtests.test("the licence, the README and what is exported are packed", package=name):
            check_contents(name, archive)
    project = tmp_path / "project"
    install(project, packed)
    with subtests.test("the apps of the READMEs and the guide compile with the packed types"):
        assert output(project, NODE_MODULES / ".bin" / "tsc") == ""
    with subtests.test("Vite builds the apps of the READMEs and the guide"):
        output(project, NODE_MODULES / ".bin" / "vite", "build", "--logLevel", "error")
        built = "".join(path.read_text() for path in (project / "dist" / "assets").glob("*.js"))
        assert "graphql-transport-ws" in built
        assert "tertulia-chat" in built
    with subtests.test("the hooks render on a server, without a browser and without requests"):
        assert output(project, "node", "server.mjs").strip() == "[null,[],[],&quot;&quot;]"
        # Next.js then knows that the hooks belong to client components.
        assert (project / "node_modules/@tertulia/react/dist/index.js").read_text().startswith('"use client";')


@pytest.mark.chaos
@pytest.mark.needs("node", "npm", "node_modules")
def test_next_builds_and_renders_an_app_from_the_packed_files(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    packed = pack(tmp_path / "packages")
    app = tmp_path / "next"
    shutil.copytree(ROOT / "tests" / "next", app, ignore=shutil.ignore_patterns("node_modules", ".next"))
    output(app, "npm", "ci", "--silent", "--no-audit", "--no-fund", "--fetch-retries=3")
    extract(packed, app / "node_modules")
    (app / "app" / "Hooks.tsx").write_text('"use client";\n' + example("react", "compiles it"))
    (app / "app" / "Element.tsx").write_text(example("chat", "builds it with Next.js"))
    output(app, "node_modules/.bin/next", "build")
    page = (app / ".next" / "server" / "app" / "index.html").read_text()
    assert "<tertulia-chat url=" in page
    # 400 MB, which pytest would keep for three runs.
    shutil.rmtree(app)
