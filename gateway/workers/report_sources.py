"""The images that a study's results name and show, read from the spool with the digests that were acknowledged."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.dicom.part10 import read_header
from gateway.domain.assessment import StoredInstance
from gateway.inference.decoder import Decoder
from gateway.results.evidence import SourceInstance
from gateway.store.spool import Spool
from gateway.workers.evidence_file import verified_path


def read_sources(spool: Spool, decoder: Decoder, images: Iterable[tuple[StoredInstance, bool]]) -> dict[str, SourceInstance]:
    """By SOP Instance UID; of an image that is presented its pixels too."""
    sources: dict[str, SourceInstance] = {}
    for instance, presented in images:
        path = verified_path(spool, instance)
        pixels = decoder.present(path) if presented else None
        sources[instance.sop_instance_uid] = SourceInstance(dataset=read_header(path), presentation=pixels)
    return sources
