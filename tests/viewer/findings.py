"""What a look at the results found: counted, said aloud as it comes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Findings:
    """pages, labels: how many were seen well. errors: what was missed. notes: the viewer's own ways that a site should know."""

    pages: int = 0
    labels: int = 0
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def saw(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def missed(self, text: str) -> None:
        self.errors.append(text)
        print(f"  MISSED {text}", flush=True)

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(f"  note: {text}", flush=True)
