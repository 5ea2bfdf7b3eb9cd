"""One C-STORE over an association of its own: how `check` hands its phantom to this gateway, as a modality would."""

from __future__ import annotations

from contextlib import closing

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.association import Association
from gateway.delivery.connection import Connection
from gateway.delivery.destination_link import no_report
from gateway.delivery.storage_scu import store
from gateway.dicom.part10 import split_result


def store_once(to: DestinationSettings, settings: DeliverySettings, content: bytes, *, sop_class_uid: str, sop_instance_uid: str) -> int:
    """The status of the answer. DestinationError where there is none. content: a whole DICOM file."""
    syntax, _ = split_result(content)
    with closing(Connection(user_timeout_seconds=settings.response_seconds)) as connection:
        association = Association(to, settings, connection, no_report)
        association.request({sop_class_uid: (syntax,)})
        status = store(association, content, sop_class_uid, sop_instance_uid)
        association.release()
        return status
