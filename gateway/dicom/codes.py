"""Coded concepts that name the knee and its projections (PS3.16 CID 4009, 4010, 4031, and their retired SNOMED-RT forms)."""

from __future__ import annotations

from typing import Final

from gateway.domain.attributes import Code

_SNOMED_SCHEMES = ("SCT", "SRT", "SNM3", "99SDM")


def _snomed(*values: str) -> frozenset[Code]:
    return frozenset(Code(value, scheme) for value in values for scheme in _SNOMED_SCHEMES)


KNEE_REGIONS: Final = _snomed("72696002", "T-D9200", "49076000", "T-15720")
"""Knee, knee joint."""

AP_VIEWS: Final = _snomed("399348003", "R-10206")
PA_VIEWS: Final = _snomed("272479007", "R-10214", "R-40888")
LATERAL_VIEWS: Final = _snomed(
    "399067008", "R-102CD", "399173006", "R-10236", "399198007", "R-10232", "399352003", "R-10228", "399260004", "R-10226"
)
"""Lateral, left lateral, right lateral, latero-medial, medio-lateral."""

RIGHT: Final = _snomed("24028007", "G-A100")
LEFT: Final = _snomed("7771000", "G-A101")
BILATERAL: Final = _snomed("51440002", "G-A102")
"""CID 244, as modifiers of an anatomic region."""
