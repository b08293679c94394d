"""Create the pictures of README.md and the guides: `make pictures`.

A real server uses the tests' scripted Claude, which writes a sample answer at reading speed. A real browser opens the
page, and refreshes it while the answer is written.
"""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from programs import chromium  # noqa: E402 - the tests' helpers are not a package
from running import tertulia  # noqa: E402 - the same
from scripted import Gate, model, says  # noqa: E402 - the same
from scripted import scripted as scripted_claude  # noqa: E402 - the same

ANSWER = """A **tertulia** is a conversation that belongs to its table, not to any single chair: people come and go, and
the conversation continues. The word is Spanish. The most famous ones met in cafés:

- the *Café de Levante* in Madrid, around Valle-Inclán,
- the *Café Pombo*, every Saturday night, around Gómez de la Serna.

Answers in this application work the same way. A page that returns receives all of it:

```python
async for event in client.subscribe(FOLLOW, {"id": generation_id}):
    state = apply(state, event)  # a snapshot first, then the new text
```

Nothing has to be said twice.
"""
CAPTIONS = {
    "ask": "Ask",
    "answer": "Claude answers …",
    "refresh": "… the page is refreshed while the answer is written …",
    "on": "… and the answer continues: no token is lost, repeated or paid for twice",
    "whole": "The whole answer",
}
STRIP = 34
HOLD = {"ask": 260, "answer": 110, "refresh": 900, "on": 110, "whole": 2600}
"""How long a frame of each stage is shown, in milliseconds."""
TOKEN_SECONDS = 0.045


def main() -> None:
    """Run the server and the browser, and write the pictures."""
    words = ANSWER.split(" ")
    gates = [Gate() for _ in words]
    pieces = [part for word, gate in zip(words, gates, strict=True) for part in (f"{word} ", gate)]
    others = [says("With pleasure."), says("Because the universe had a beginning.")]
    with TemporaryDirectory() as folder, scripted_claude(*others, says(*pieces)) as claude:
        claude.models = [model("claude-opus-5-5") | {"display_name": "Claude Opus 5.5"}]
        threading.Thread(target=speak, args=(gates,), daemon=True).start()
        with_key = {"anthropic_api_key": "sk-ant-scripted", "anthropic_base_url": claude.address}
        with tertulia(Path(folder), **with_key) as address:
            subprocess.run(["node", HERE / "take.mjs", address, chromium(), folder], check=True)
        for still in ("page-light", "page-dark", "page-narrow", "graphiql"):
            shutil.copy(Path(folder, f"{still}.png"), HERE / f"{still}.png")
        join(sorted(Path(folder).glob("frame-*.png")), HERE / "refresh.gif")


def speak(gates: list[Gate]) -> None:
    """Open the gates one by one, so that Claude writes a word every 45 ms."""
    for gate in gates:
        gate.reached.wait()
        time.sleep(TOKEN_SECONDS)
        gate.open.set()


def join(frames: list[Path], to: Path) -> None:
    """Write an animated GIF of the frames, each with the caption of its stage."""
    font = ImageFont.load_default(16)
    pictures, durations = list[Image.Image](), list[int]()
    for file in frames:
        stage = file.stem.split("-")[-1]
        shot = Image.open(file).convert("RGB")
        whole = Image.new("RGB", (shot.width, shot.height + STRIP), "#9c3d17")
        whole.paste(shot, (0, 0))
        ImageDraw.Draw(whole).text((16, shot.height + 8), CAPTIONS[stage], font=font, fill="white")
        pictures.append(whole.quantize(64, dither=Image.Dither.NONE))
        durations.append(HOLD[stage])
    pictures[0].save(to, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True)
    print(f"{to.name}: {len(pictures)} frames, {to.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
