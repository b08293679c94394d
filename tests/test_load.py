"""The load test (`bench.people`) finds no broken rule on a real server, and its checker detects broken streams."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client import WAIT

ROOT = Path(__file__).parents[1]
Json = dict[str, Any]

ACTIONS = ("send", "refresh", "second", "stop", "list")
"""Actions of simulated people whose results the load test checks."""


def _bench(name: str) -> Any:
    """Import a module of `bench/`."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return importlib.import_module(f"bench.{name}")


CHECKER = _bench("people.checker")


def snapshot(sequence: int, *texts: str, **more: Any) -> Json:
    content = [{"__typename": "TextBlock", "index": index, "text": text} for index, text in enumerate(texts)]
    return {"__typename": "MessageSnapshot", "sequence": sequence, "message": {"content": content}, **more}


def started(sequence: int) -> Json:
    return {"__typename": "ContentBlockStarted", "sequence": sequence, "index": 0, "block": block("")}


def delta(sequence: int, offset: int, text: str) -> Json:
    return {"__typename": "TextDelta", "sequence": sequence, "index": 0, "offset": offset, "text": text}


def block(text: str) -> Json:
    return {"__typename": "TextBlock", "index": 0, "text": text}


def finished(sequence: int, text: str) -> Json:
    return {"__typename": "ContentBlockFinished", "sequence": sequence, "index": 0, "block": block(text)}


def completed(sequence: int) -> Json:
    return {"__typename": "GenerationCompleted", "sequence": sequence}


WHOLE = [snapshot(1), started(2), delta(3, 0, "Hi 👋"), delta(4, 5, " Ada"), finished(5, "Hi 👋 Ada"), completed(6)]


def check_stream(events: list[Json], *, after: int | None = None, complete: bool = True) -> tuple[Any, list[str]]:
    complaints: list[str] = []
    seen = CHECKER.Seen(complaints.append)
    seen.begin(after)
    for event in events:
        seen.take(event)
    if complete:
        seen.complete()
    return seen, complaints


def test_a_whole_stream_breaks_no_rule() -> None:
    seen, complaints = check_stream(WHOLE)
    assert complaints == []
    assert (seen.text(), seen.terminal, seen.sequence) == ("Hi 👋 Ada", "COMPLETED", 6)


def without(index: int) -> list[Json]:
    return WHOLE[:index] + WHOLE[index + 1 :]


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (without(2), "text was lost: a delta has the offset 5, but the text before it ends at 0"),
        ([*WHOLE[:4], delta(5, 5, " Ada"), completed(6)], "text was repeated: a delta has the offset 5"),
        (WHOLE[:4] + WHOLE[3:], "TextDelta has the sequence 4, which is not after 4"),
        (without(0), "a subscription without `after` began with ContentBlockStarted"),
        (without(1), "a delta of block 0, which has not started"),
        (without(3), "block 0 finished as 'Hi 👋 Ada', but was streamed as 'Hi 👋'"),
        (without(5), "complete after 5, without a terminal event"),
        ([*WHOLE, completed(7)], "GenerationCompleted 7 arrived after the terminal event"),
        ([*WHOLE, delta(7, 9, "!")], "TextDelta 7 arrived after the terminal event"),
        ([*WHOLE[:3], snapshot(4, "Hi"), *WHOLE[3:]], "an unexpected snapshot arrived"),
    ],
)
def test_a_broken_stream_is_reported(events: list[Json], complaint: str) -> None:
    _, complaints = check_stream(events)
    assert any(complaint in reported for reported in complaints), complaints


def test_a_snapshot_that_lost_received_text_is_reported() -> None:
    seen, complaints = check_stream(WHOLE[:4], complete=False)
    seen.begin(None)
    seen.take(snapshot(4, "Hi 👋 Ad"))
    assert complaints == ["a snapshot lacks text that was shown before: 'Hi 👋 Ada'"]


def test_a_resumed_stream_continues_after_its_number_without_a_snapshot() -> None:
    seen, complaints = check_stream(WHOLE[:3], complete=False)
    seen.begin(3)
    for event in WHOLE[3:]:
        seen.take(event)
    seen.complete()
    assert (complaints, seen.text()) == ([], "Hi 👋 Ada")
    seen, complaints = check_stream(WHOLE[:3], complete=False)
    seen.begin(3)
    seen.take(snapshot(4, "Hi 👋 Ada"))
    assert complaints == ["an unexpected snapshot arrived at 4"]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({}, None),
        (
            {"stored": {"status": "COMPLETED", "text": "Hi 👋"}},
            "a client received 'Hi 👋 Ada', the database has 'Hi 👋'",
        ),
        (
            {"stored": {"status": "STOPPED", "text": "Hi 👋 Ada"}},
            "a client received COMPLETED, the database has STOPPED",
        ),
        ({"stored": {"status": "FAILED", "text": "Hi 👋 Ada"}}, "the answer failed"),
        ({"written": "Hi 👋 Ada, more"}, "Claude wrote"),
        ({"written": "Hello"}, "the database has text that Claude did not write"),
        ({"stopped": "Hi 👋"}, "text arrived after a stop, which had returned 'Hi 👋'"),
    ],
)
def test_differences_between_received_stored_and_written_text_are_reported(more: Json, complaint: str | None) -> None:
    seen, _ = check_stream(WHOLE)
    text = "Hi 👋 Ada"
    inputs: Json = {"stored": {"status": "COMPLETED", "text": text}, "written": text, "stopped": None} | more
    compare: Callable[..., list[str]] = CHECKER.compare
    differences = compare([seen], inputs["stored"], inputs["written"], inputs["stopped"])
    assert (differences == []) if complaint is None else any(complaint in difference for difference in differences), (
        differences
    )


def test_the_documented_tables_match_the_simulation() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert _bench("scaling.simulation").with_tables(page) == page, "run: python -m bench.scaling.simulation --write"


def row(minute: float, rss: float, files: int) -> Json:
    return {"seconds": 60 * minute, "rss_mb": rss, "files": files}


@pytest.mark.parametrize(
    ("rows", "flat"),
    [
        # Memory that rises until the logs are full and then stays constant counts as flat.
        ([row(minute, 200 + min(minute, 15) * 5, 300 + minute % 3) for minute in range(60)], True),
        ([row(minute, 200 + minute, 300) for minute in range(60)], False),
        ([row(minute, 280, 300 + 3 * minute) for minute in range(60)], False),
        ([row(minute, 200 + min(minute, 15) * 5, 300) for minute in range(25)], True),
    ],
)
def test_a_soak_test_is_judged_by_the_samples_after_logs_are_full(rows: list[Json], *, flat: bool) -> None:
    assert _bench("people.samples").judge(rows)["flat"] is flat


def test_simulated_users_find_no_broken_rule(tmp_path: Path) -> None:
    output = tmp_path / "load.json"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "bench.people",
        "--users",
        "8",
        "--minutes",
        "0.07",
        "--think",
        "0.3",
        # With this seed the first long answers are refreshed, followed on a second device and stopped.
        "--seed",
        "53",
        "--actions",
        *ACTIONS,
    ]
    done = subprocess.run(
        [*command, "--pace", "0.2", "--output", output],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3 * WAIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(output.read_text())
    assert (result["broken"], result["complaints"]) == (0, [])
    counts = result["counts"]
    assert counts["answers"] > 5, counts
    assert set(ACTIONS) <= counts.keys(), counts
    assert "violations of rules were found" in done.stdout
