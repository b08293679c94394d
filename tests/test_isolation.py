"""Loops over many items: an error at one item does not affect the others."""

import ast
import asyncio
import logging
from pathlib import Path

import pytest

from tertulia import isolation
from tertulia.isolation import ItemLoop

LOOP = ItemLoop("test.loop")


def test_the_items_after_a_failed_one_are_processed(caplog: pytest.LogCaptureFixture) -> None:
    done, before = list[str](), LOOP.failures

    async def work(item: str) -> None:
        if item == "bad":
            raise MemoryError
        done.append(item)

    with caplog.at_level(logging.ERROR):
        assert not asyncio.run(LOOP.each(["first", "bad", "last"], work))
    assert done == ["first", "last"]
    assert LOOP.failures == before + 1 == isolation.failures()["test.loop"]
    assert [record.getMessage() for record in caplog.records] == ["test.loop: bad failed; other items are not affected"]


def test_an_item_that_failed_is_skipped_until_its_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tried = [1000.0], list[str]()
    monkeypatch.setattr("tertulia.isolation.time.monotonic", lambda: clock[0])

    async def work(item: str) -> None:
        tried.append(item)
        raise KeyError(item)

    loop = ItemLoop("test.pauses")
    for seconds in (0, 1, 30, 30, 31):
        clock[0] += seconds
        before = len(tried)
        assert asyncio.run(loop.each(["item"], work)) is (len(tried) == before)
    # The attempts are at once, after 30 seconds, and after another 60 seconds.
    assert len(tried) == 3


def test_an_item_that_succeeds_again_is_no_longer_skipped() -> None:
    loop = ItemLoop("test.again")
    loop.fail("item", KeyError())
    assert loop.skips("item")
    assert loop.attempt_now("item", lambda: 5) == 5
    assert not loop.skips("item")


def test_a_cancellation_is_not_suppressed() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(LOOP.attempt("item", work))


ROOT = Path(__file__).parent.parent
ONE_REQUEST = "it serves one request, which fails as a whole"
ISOLATED = "the called function isolates each item"
BOUNDED = "it is not a loop over stored items"
TOOLS = {"simulator", "conformance"}
"""Packages without loops over stored items."""
COMMAND = "after a failure the operator runs the command again"
KNOWN = {
    "src/tertulia/tools/execution.py blocks_of": ISOLATED,
    "src/tertulia/generation/checkpoint.py _save": "if one fails, each is saved separately",
    "src/tertulia/generation/checkpoint.py _new_texts": ISOLATED,
    "src/tertulia/attachments/files.py fill": "its items belong to one answer",
    "src/tertulia/attachments/files.py forget": "its items belong to one answer",
    "src/tertulia/generation/persistence.py save_end": "if one part of the answer fails, each is saved separately",
    "src/tertulia/generation/persistence.py save_failure": ISOLATED,
    "src/tertulia/generation/manager.py _finalize": ISOLATED,
    "src/tertulia/generation/manager.py sweep": ISOLATED,
    "src/tertulia/tools/mcp/servers.py start": BOUNDED,
    "src/tertulia/claude/client.py close": BOUNDED,
    "src/tertulia/claude/downloads.py download": "its items are attempts",
    "src/tertulia/claude/model_check.py _check": BOUNDED,
    "src/tertulia/tools/mcp/oauth/discovery.py _metadata": "its items are addresses that are tried in turn",
    "src/tertulia/tools/mcp/oauth/discovery.py _protected_resource": "its items are addresses that are tried in turn",
    "src/tertulia/tools/mcp/oauth/reencryption.py reencrypt": COMMAND,
    "src/tertulia/generation/retention.py remove_user": "after a failure the whole deletion of the user is repeated",
    "src/tertulia/generation/tool_rounds.py end": "its items belong to one answer",
    "src/tertulia/generation/loop.py _receive_round": "its items belong to one answer",
    "resolvers/conversations.py delete_conversation": ONE_REQUEST,
    "resolvers/deletion.py delete_message": ONE_REQUEST,
    "resolvers/admin/user_actions.py admin_disable_user": ONE_REQUEST,
    "resolvers/shares.py _finished_leaf": ONE_REQUEST,
    "resolvers/limit_hits.py store": "after a failure all are stored the next time",
    "resolvers/sharing.py store_views": "after a failure all are stored the next time",
    "src/tertulia/server/auth/guests.py claim": ONE_REQUEST,
    "src/tertulia/cli/doctor.py _findings": "its items are lines of one report",
    "src/tertulia/cli/doctor.py _claude": "its items are lines of one report",
    "src/tertulia/cli/leavers.py disable_listed": "its items are one list; those that are done stay done if it is repeated",
    "src/tertulia/transfer/exporter.py export": ONE_REQUEST,
    "resolvers/follow.py _follow": "its items belong to one follower",
    "src/tertulia/transfer/importer.py _store": ONE_REQUEST,
    "src/tertulia/transfer/importer.py _check": ONE_REQUEST,
    "src/tertulia/transfer/importer.py import_file": ONE_REQUEST,
    "src/tertulia/ratelimit/limits.py status": BOUNDED,
    "resolvers/send.py start": BOUNDED,
    "resolvers/tool_results.py _store_results": ONE_REQUEST,
    "resolvers/tools.py check_tools": ONE_REQUEST,
    "src/tertulia/server/auth/oidc.py _add_user": BOUNDED,
    "src/tertulia/server/auth/provider_grants.py _tokens": "its items are the two tokens of one response",
    "src/tertulia/cli/terminal/conversation.py _submit": BOUNDED,
    "src/tertulia/streams/redis/reader.py _read_once": ISOLATED,
    "src/tertulia/streams/redis/reader.py _look_up_new_mirrors": ISOLATED,
    "src/tertulia/streams/redis/writer.py _take": "its items are attempts",
    "src/tertulia/streams/redis/writer.py _write": "after a failure all are written again",
    "resolvers/followed_rows.py _rows": "if it fails, the rows of each follower are read separately",
    "resolvers/loading.py _read_all": ONE_REQUEST,
    "src/tertulia/server/http/websocket.py handle": "its items belong to one socket",
    "src/tertulia/server/http/uploads.py _write": "its items belong to one upload",
}
"""Loops with an `await` for each item that are no `ItemLoop`, with the reason why an item does not affect others."""


def waiting_loops() -> set[str]:
    """Return the functions that have a loop with an `await` for each item."""
    functions_with_loops = set[str]()
    packages = [
        folder for folder in (ROOT / "src" / "tertulia").iterdir() if folder.is_dir() and not folder.is_symlink()
    ]
    for package in (*packages, ROOT / "resolvers"):
        for file in package.rglob("*.py"):
            functions = [
                node
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.AsyncFunctionDef) and not TOOLS.intersection(file.parts)
            ]
            for function in functions:
                loops = [node for node in ast.walk(function) if isinstance(node, ast.For)]
                if any(isinstance(part, ast.Await | ast.AsyncWith) for loop in loops for part in ast.walk(loop)):
                    functions_with_loops.add(f"{file.relative_to(ROOT)} {function.name}")
    return functions_with_loops


def test_each_loop_over_many_items_is_an_item_loop_or_has_a_reason() -> None:
    loops = waiting_loops()
    assert loops - set(KNOWN) == set(), "use tertulia.isolation.ItemLoop, or give the reason in KNOWN"
    assert set(KNOWN) - loops == set(), "these functions no longer have such a loop"
