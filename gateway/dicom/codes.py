"""Coded concepts that name the knee and its projections (PS3.16 CID 4009, 4010, 4031, and their retired SNOMED-RT forms)."""

from __future__ import annotations

from typing import Final

from gateway.domain.attributes import Code

_SNOMED_SCHEMES = ("SCT", "SRT", "SNM3", "99SDM")


def _snomed(*values: str) -> frozenset[Code]:
    return frozenset(Code(value, scheme) for value in values for scheme in _SNOMED_SCHEMES)


KNEE_REGIONS: Final = _snomed("72696002", "T-D9200", "49076000", "T-15720", "6757004", "6921000119102", "762101008", "762879008")
"""Knee, knee joint, right and left knee."""

AP_VIEWS: Final = _snomed("399348003", "R-10206")
PA_VIEWS: Final = _snomed("272479007", "R-10214")
LATERAL_VIEWS: Final = _snomed(
    "399067008", "R-10236", "399173006", "R-10228", "399352003", "R-10232", "399198007", "R-10242", "399188001", "R-10230"
)
"""Lateral, left and right lateral, medio-lateral, latero-medial."""
