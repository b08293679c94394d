"""The durations and repetitions of measurements: in full, or short to test that they work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`rounds`: how often each candidate is measured. `minutes`: how long `tails` measures."""

    rounds: int = 3
    minutes: float = 1.0
    quick: bool = False

    def steady(self) -> dict[str, float]:
        """Return the seconds of a steady load."""
        return {"warm": 1, "seconds": 3} if self.quick else {"warm": 3, "seconds": 8}

    def step(self) -> dict[str, float]:
        """Return the seconds of one step of a search."""
        return {"warm": 1, "seconds": 2} if self.quick else {"warm": 2, "seconds": 4}

    def flat(self) -> dict[str, float]:
        """Return the tokens of an answer without a pace, and the seconds that are enough for slow candidates."""
        return {"tokens": 200, "seconds": 10} if self.quick else {"tokens": 2000, "seconds": 40}

    def count(self, whole: int) -> int:
        """Return `whole`, or a tenth of it in a quick run, at least 10."""
        return max(whole // 10, 10) if self.quick else whole
