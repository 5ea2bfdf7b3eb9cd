"""Everything that a study's results are made of, as one value that is kept: from it the same files can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from gateway.config import ResultSettings
from gateway.dicom.uids import derived_uid
from gateway.domain.finding import StudyReport
from gateway.results.built_result import BuiltResult
from gateway.results.equipment import SOFTWARE_VERSIONS
from gateway.results.evidence import SourceInstance
from gateway.results.study_report import build_results


class SourceImage(BaseModel):
    """An instance that results name. presented: its pixels are shown on an overlay page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instance_id: str
    sop_instance_uid: str
    presented: bool


class ReportInputs(BaseModel):
    """report: what is shown, after the policy. uid_parts: what every UID of the results is derived from, but their kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: StudyReport
    uid_parts: tuple[str, ...]
    images: tuple[SourceImage, ...]
    settings: ResultSettings
    software_version: str = SOFTWARE_VERSIONS

    def stored(self) -> dict[str, Any]:
        """As JSON keeps it; `restored` gives an equal value, numbers to their last bit."""
        return self.model_dump(mode="json")

    @classmethod
    def restored(cls, content: Mapping[str, Any]) -> ReportInputs:
        return cls.model_validate(content)

    def build(self, sources: Mapping[str, SourceInstance]) -> tuple[BuiltResult, ...]:
        """The results. sources: by SOP Instance UID, one for each of `images`."""
        return build_results(self.report, sources, self.settings, lambda kind: derived_uid((*self.uid_parts, kind)))
