"""The synthetic sources and cases of the conformance matrix serve the unit tests too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))
