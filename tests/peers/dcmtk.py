"""DCMTK's tools as the modality, by absolute path: pynetdicom installs tools of the same names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

STORESCU = Path("/usr/bin/storescu")
ECHOSCU = Path("/usr/bin/echoscu")

_PROPOSE = {
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.57": "-xs",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


def need() -> None:
    if not STORESCU.exists():
        pytest.skip("DCMTK is not installed (make test PEERS=install)")


def storescu(
    files: list[Path], *, port: int, called: str = "STRNET", calling: str = "XRAY1", syntax: str = "", options: tuple[str, ...] = ()
) -> str:
    """What storescu printed. Its exit code tells too little: callers ask the receiver and the database."""
    propose = [_PROPOSE[syntax]] if syntax in _PROPOSE else []
    command = [str(STORESCU), "-v", "-R", *propose, *options, "-aet", calling, "-aec", called, "127.0.0.1", str(port), *map(str, files)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def echoscu(port: int, *, called: str = "STRNET", calling: str = "XRAY1") -> int:
    command = [str(ECHOSCU), "-to", "10", "-aet", calling, "-aec", called, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode
