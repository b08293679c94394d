"""How long and how often things are measured: in full, or quickly to see that they work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`rounds`: how often each candidate has its turn; `minutes`: how long the tails are watched."""

    rounds: int = 3
    minutes: float = 1.0
    quick: bool = False

    def steady(self) -> dict[str, float]:
        """Give the seconds of a steady load."""
        return {"warm": 1, "seconds": 3} if self.quick else {"warm": 3, "seconds": 8}

    def step(self) -> dict[str, float]:
        """Give the seconds of one step of a search."""
        return {"warm": 1, "seconds": 2} if self.quick else {"warm": 2, "seconds": 4}

    def flat(self) -> dict[str, float]:
        """Give how long answers without a pace are, and the seconds after which a slow candidate's rate is known."""
        return {"tokens": 200, "seconds": 10} if self.quick else {"tokens": 2000, "seconds": 40}

    def count(self, whole: int) -> int:
        """Give how many of something are done."""
        return max(whole // 10, 10) if self.quick else whole
