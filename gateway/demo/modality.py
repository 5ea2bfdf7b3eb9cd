"""The demonstration's modality: sends instances by C-STORE, one association per study, as a modality does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataset import FileDataset
from pynetdicom import AE, build_context


def send_study(instances: Sequence[FileDataset], *, host: str, port: int, called_ae_title: str) -> Iterator[str]:
    """Yields each instance's answer, as a status in hexadecimal or in words, in the order of the instances."""
    ae = AE(ae_title="DEMO_XRAY")
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    wanted = sorted({(str(instance.SOPClassUID), str(instance.file_meta.TransferSyntaxUID)) for instance in instances})
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
    association = ae.associate(host, port, contexts=contexts, ae_title=called_ae_title)
    if not association.is_established:
        yield from ("association refused" for _ in instances)
        return
    for instance in instances:
        try:
            status = association.send_c_store(instance)
            yield f"{status.Status:04X}" if "Status" in status else "no answer"
        except (ValueError, RuntimeError, AttributeError, TypeError, NotImplementedError):
            # no accepted context for it, or it cannot be encoded
            yield "not sent"
    if association.is_established:
        association.release()
