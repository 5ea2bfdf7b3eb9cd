"""The self-test's phantoms and what must come of them: the bundle's golden vectors, as images that go the whole way."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Final

import numpy as np

from gateway.dicom.uids import derived_uid
from gateway.domain.assessment import Assessment
from gateway.domain.self_test import SeenPhantom
from gateway.errors import BundleError
from gateway.inference.analyzer import Bundle
from gateway.inference.phantoms import IMPLEMENTATION
from strnet_core.bundle import GoldenVector, read_golden
from strnet_core.engines.base import Prediction
from strnet_core.engines.verification import compare_knee, phantom_of
from strnet_core.errors import StrnetError
from strnet_core.phantom import draw
from strnet_core.phantom.dx import DxPlace, DxSubject, DxView, dx_object

_TAKEN_AT: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_SIZE_M: Final = 1.6
_PIXEL_SPACING_MM: Final = 0.2


class References:
    """Golden vectors were computed when the bundle was made, and their hash is part of the bundle's: nothing else need be stored."""

    def __init__(self, bundle: Bundle) -> None:
        """BundleError where they are damaged."""
        try:
            self._golden = read_golden(bundle.model)
        except StrnetError as error:
            raise BundleError(str(error)) from error
        self._key = ("self_test", bundle.identity.bundle_hash)

    def __len__(self) -> int:
        return len(self._golden.vectors)

    def file(self, number: int) -> bytes:
        """Phantom `number` (from 0) as a DX file (PS3.10), of a patient who does not exist. The same bytes at any time."""
        vector = self._golden.vectors[number]
        parameters = phantom_of(vector)
        key = (*self._key, str(number))
        dataset = dx_object(
            draw(parameters, vector.seed),
            view=DxView(view=parameters.view, laterality=parameters.side, pixel_spacing_mm=_PIXEL_SPACING_MM),
            subject=_subject(vector),
            place=DxPlace(
                study_instance_uid=derived_uid((*key, "study")),
                series_instance_uid=derived_uid((*key, "series")),
                sop_instance_uid=derived_uid((*key, "instance")),
                instance_number=1,
                study_id=str(number),
                accession_number="",
                taken_at=_TAKEN_AT,
            ),
            implementation=IMPLEMENTATION,
        )
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    def compare(self, number: int, assessment: Assessment, saliency: np.ndarray[Any, np.dtype[np.float32]]) -> SeenPhantom:
        """What was assessed against the vector, within the bundle's tolerance for the arithmetic in use."""
        reading = assessment.reading
        if reading is None or reading.severity_logit is None:
            return SeenPhantom(deviations=(assessment.decision.value,), profile="")
        try:
            found = compare_knee(
                self._golden,
                number,
                assessment.preprocessed_digest,
                Prediction(
                    screening_logit=reading.logit,
                    severity_logit=reading.severity_logit,
                    t_score=reading.t_score,
                    saliency=saliency,
                    profile=reading.engine_profile,
                ),
            )
        except StrnetError as error:
            return SeenPhantom(deviations=(error.code,), profile=reading.engine_profile)
        return SeenPhantom(
            deviations=found.beyond, profile=reading.engine_profile, logit_difference=found.logit, saliency_difference=found.saliency
        )


def _subject(vector: GoldenVector) -> DxSubject:
    age = round(vector.age_years)
    return DxSubject(
        patient_name="SELF^TEST",
        patient_id="SELF-TEST",
        birth_date=f"{_TAKEN_AT.year - age}0104",
        sex=vector.sex,
        age_years=age,
        size_m=_SIZE_M,
        weight_kg=vector.bmi * _SIZE_M * _SIZE_M,
    )
