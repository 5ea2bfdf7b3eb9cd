"""A storage SCP as pynetdicom's documentation writes one, with its defaults: `python -m tests.benchmarks.intake.stock_scp PORT FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation, Verification


def main(port: int, folder: Path) -> None:
    def store(event: Any) -> int:
        # the fast way of the documentation: bytes as they came, no fsync
        (folder / f"{event.request.AffectedSOPInstanceUID}.dcm").write_bytes(event.encoded_dataset())
        return 0x0000

    ae = AE(ae_title="STOCK")
    ae.maximum_associations = 20
    ae.add_supported_context(Verification)
    ae.add_supported_context(DigitalXRayImageStorageForPresentation)
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=[(evt.EVT_C_STORE, store)])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
