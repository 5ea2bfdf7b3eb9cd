"""C-FIND SCU for many answers (PS3.4 C.4.1): bounded, cancelled past its limit, and saying so when it is not the whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_CANCEL_RQ
from pynetdicom.dimse_primitives import C_CANCEL, C_FIND

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.association import Accepted, Association, readable
from gateway.delivery.connection import Connection
from gateway.delivery.destination_link import no_report
from gateway.delivery.find_request import FIND_PENDING, ask_find
from gateway.dicom.characters import text, values
from gateway.dicom.uids import STUDY_ROOT_FIND, is_legal
from gateway.domain.reconciliation import SeenSeries, SeenStudy
from gateway.errors import AssociationLostError, DrainingError, QueryRefusedError

Made = TypeVar("Made")

_SUCCESS: Final = 0x0000
_AFTER_CANCEL: Final = 1000
"""Answers that may still be on their way; a peer that sends more does not heed the cancel and is left."""
_CONTEXTS: Final = {STUDY_ROOT_FIND: (ExplicitVRLittleEndian, ImplicitVRLittleEndian)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches(Generic[Made]):
    """complete: False where there would have been more than was asked for."""

    found: tuple[Made, ...]
    complete: bool


class QueryScu:
    """Asks one destination, one question after the other, over one association. Used by one thread; only `stop` by another one.

    Every call raises DestinationError where the peer does not answer, QueryRefusedError where it answers that it will not.
    """

    def __init__(self, destination: DestinationSettings, settings: DeliverySettings, *, until: float) -> None:
        """until: on time.monotonic(), after which nothing is asked or waited for."""
        self._destination = destination
        self._settings = settings
        self._until = until
        self._lock = threading.Lock()
        self._stopped = False
        self._connection: Connection | None = None
        self._association: Association | None = None

    def studies(self, day: date, modality: str, *, most: int) -> Matches[SeenStudy]:
        """Studies of that day with that modality; a peer that does not match by it gives all of the day."""
        keys = _keys("STUDY", StudyInstanceUID="", StudyDate=f"{day:%Y%m%d}", ModalitiesInStudy=modality)
        return self._ask(keys, _study, most)

    def series(self, study_instance_uid: str, *, most: int) -> Matches[SeenSeries]:
        keys = _keys(
            "SERIES",
            StudyInstanceUID=study_instance_uid,
            SeriesInstanceUID="",
            Modality="",
            BodyPartExamined="",
            SeriesDescription="",
        )
        return self._ask(keys, lambda match: _series(match, study_instance_uid), most)

    def instances(self, study_instance_uid: str, series_instance_uid: str, *, most: int) -> Matches[str]:
        """SOP Instance UIDs of a series."""
        keys = _keys("IMAGE", StudyInstanceUID=study_instance_uid, SeriesInstanceUID=series_instance_uid, SOPInstanceUID="")
        return self._ask(keys, lambda match: _uid(match, "SOPInstanceUID"), most)

    def close(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.release()

    def stop(self) -> None:
        """From any thread: what waits for the peer ends now, and nothing more is asked."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.cut()

    def _ask(self, keys: Dataset, made: Callable[[Dataset], Made | None], most: int) -> Matches[Made]:
        try:
            return self._find(self._opened(), keys, made, most)
        except QueryRefusedError:
            raise
        except BaseException as error:
            association, self._association = self._association, None
            if association is not None:
                association.abort()
            if self._stopped:
                raise DrainingError from error
            raise

    def _opened(self) -> Association:
        if self._association is None:
            connection = Connection(user_timeout_seconds=self._settings.response_seconds)
            connection.until = self._until
            with self._lock:
                self._connection = connection
                if self._stopped:
                    raise DrainingError
            self._association = Association(self._destination, self._settings, connection, no_report)
            self._association.request(_CONTEXTS)
        return self._association

    def _find(self, association: Association, keys: Dataset, made: Callable[[Dataset], Made | None], most: int) -> Matches[Made]:
        question = ask_find(association, keys)
        found: dict[Made, None] = {}
        number = 0
        while True:
            response, _context = association.receive(question.message_id, C_FIND)
            status = int(response.Status)
            if status not in FIND_PENDING:
                if status != _SUCCESS:
                    raise QueryRefusedError(f"{status:04X}")
                return Matches(found=tuple(found), complete=True)
            # by answers, not by what they say: a peer may say the same for ever
            if number >= most:
                self._cancel(association, question.context, question.message_id)
                return Matches(found=tuple(found), complete=False)
            with readable("match"):
                match = made(question.match(response))
            number += 1
            if match is not None:
                found[match] = None

    def _cancel(self, association: Association, context: Accepted, message_id: int) -> None:
        """C-CANCEL (PS3.7 9.3.2.3), and what comes before the peer heeds it. A peer that does not loses the association."""
        cancel = C_CANCEL()
        cancel.MessageIDBeingRespondedTo = message_id
        with suppress(AssociationLostError):
            association.send(C_CANCEL_RQ(), cancel, context)
            for _ in range(_AFTER_CANCEL):
                response, _context = association.receive(message_id, C_FIND)
                if int(response.Status) not in FIND_PENDING:
                    return
        association.abort()
        self._association = None


def until_in(seconds: float) -> float:
    return time.monotonic() + seconds


def _keys(level: str, **wanted: Any) -> Dataset:
    keys = Dataset()
    keys.QueryRetrieveLevel = level
    for keyword, value in wanted.items():
        setattr(keys, keyword, value)
    return keys


def _uid(match: Dataset, keyword: str) -> str | None:
    """None for an answer that names no legal UID: nothing can be compared with it."""
    found = text(match, keyword)
    return found if is_legal(found) else None


def _study(match: Dataset) -> SeenStudy | None:
    uid = _uid(match, "StudyInstanceUID")
    modalities = tuple(value.upper() for value in values(match, "ModalitiesInStudy") if value)
    return None if uid is None else SeenStudy(study_instance_uid=uid, modalities=modalities)


def _series(match: Dataset, study_instance_uid: str) -> SeenSeries | None:
    uid = _uid(match, "SeriesInstanceUID")
    if uid is None:
        return None
    return SeenSeries(
        study_instance_uid=study_instance_uid,
        series_instance_uid=uid,
        modality=text(match, "Modality").upper(),
        body_part=text(match, "BodyPartExamined"),
        description=text(match, "SeriesDescription"),
    )
