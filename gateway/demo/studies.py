"""What the demonstration sends: a handful of synthetic studies, or the user's own files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import FileDataset

from gateway.dicom.characters import READ_ERRORS, text
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """Instances with a label for the table, sent over one association."""

    instances: tuple[tuple[str, FileDataset], ...]


_SEED: Final = 88
"""One at which the demonstration's weights flag some phantoms and not others."""


def synthetic_studies(now: datetime) -> tuple[DemoStudy, ...]:
    """Right knee with a lateral view, left knee, both knees as two images and on one film, a younger patient's knee, a chest."""
    plans: tuple[tuple[str, str, int, tuple[tuple[str, dict[str, object]], ...]], ...] = (
        (
            "DEMO^RIGHT",
            "F",
            67,
            (("right knee AP", {"side": "R", "density": 0.1}), ("right knee lateral", {"side": "R", "view": "lateral"})),
        ),
        ("DEMO^LEFT", "M", 72, (("left knee AP", {"side": "L", "density": 0.8}),)),
        ("DEMO^BOTH", "F", 58, (("right knee AP", {"side": "R", "density": 0.5}), ("left knee AP", {"side": "L", "density": 0.6}))),
        ("DEMO^FILM", "M", 69, (("both knees AP on one film", {"knees": 2, "density": 0.35, "columns": 1800}),)),
        ("DEMO^YOUNG", "M", 31, (("right knee AP, age 31", {"side": "R", "density": 0.9}),)),
        ("DEMO^CHEST", "F", 64, (("chest PA", {"view": "chest"}),)),
    )
    studies = []
    for number, (name, sex, age, images) in enumerate(plans, start=1):
        study = PhantomStudy(
            seed=_SEED,
            number=number,
            patient_name=name,
            patient_id=f"DEMO{number}",
            birth_date=(now - timedelta(days=365.25 * age + 100)).strftime("%Y%m%d"),
            sex="F" if sex == "F" else "M",
            taken_at=now,
            accession_number=f"DEMO-{number}",
        )
        instances = tuple(
            (label, phantom_instance(study, phantom_parameters(**choices), instance_number=index))
            for index, (label, choices) in enumerate(images, start=1)
        )
        studies.append(DemoStudy(instances))
    return tuple(studies)


def studies_from(folder: Path) -> tuple[DemoStudy, ...]:
    """The DICOM files under a folder, grouped by study; what cannot be read as DICOM is left out."""
    groups: dict[str, list[tuple[str, FileDataset]]] = defaultdict(list)
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        try:
            instance = dcmread(path)
            if text(instance, "SOPInstanceUID") and "TransferSyntaxUID" in instance.file_meta:
                groups[text(instance, "StudyInstanceUID")].append((path.name, instance))
        except READ_ERRORS:
            continue
    return tuple(DemoStudy(tuple(instances)) for instances in groups.values())
