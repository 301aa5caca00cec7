"""What a redrive found and did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """What a redrive did, or would do."""

    letters: int = 0  # that the filter takes
    redriven: int = 0
    deliveries: int = 0  # in redriven send batches
    left_out: Counter[str] = field(default_factory=Counter)  # deliveries by why
    before: int = 0  # letters that an earlier run has redriven
    invalid: int = 0  # letters left out because their record itself is at fault

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "letters": self.letters,
            "redriven": self.redriven,
            "deliveries": self.deliveries,
            "redriven_before": self.before,
            "invalid": self.invalid,
            "left_out": dict(sorted(self.left_out.items())),
        }
