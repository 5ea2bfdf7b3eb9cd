"""Data folders of every layout, duplicates, groups and splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from strnet_core.bundle import PreprocessingSettings
from strnet_core.errors import TrainingDataError
from strnet_core.phantom import PhantomParameters, draw
from strnet_core.training import knee_set
from strnet_core.training.class_folders import class_of_folder, read_class_folders
from strnet_core.training.data_folders import read_data
from strnet_core.training.films import Film
from strnet_core.training.grouping import Traits, grouped
from strnet_core.training.knee_set import KneeSet, prepare
from strnet_core.training.perceptual_hash import distance, perceptual_hash
from strnet_core.training.settings import PlanSettings, TrainingSettings
from strnet_core.training.splits import split
from tests.unit.strnet_core.conftest import SHARED
from tests.unit.strnet_core.dicom_files import write
from tests.unit.strnet_core.training.conftest import read_rows, write_labels

SMALL = TrainingSettings(preprocessing=PreprocessingSettings(size_px=64), duplicate_distance=0)


def write_phantom(path: Path, seed: int, knees: int = 1, density: float = 0.6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"rows": 220, "columns": 180 if knees == 1 else 360}
    stored = draw(PhantomParameters(knees=2 if knees == 2 else 1, marker=False, density=density, **shape), seed)
    cv2.imwrite(str(path), (stored >> 4).astype(np.uint8))
    return path


@pytest.mark.parametrize(
    ("name", "label"),
    [("Normal", 0), ("osteopenia", 1), ("Osteoporosis", 2), ("0 normal", 0), ("2_Osteoporosis", 2), ("1", 1), ("OS Collected Data", None)],
)
def test_a_folder_names_its_class_in_the_public_sets_ways(name, label):
    assert class_of_folder(name) == label


def test_a_folder_per_class_is_read_at_any_depth_and_what_has_no_class_is_named(tmp_path):
    for name in ("set/Normal/n1.png", "set/Osteoporosis/left/P7-a.png", "set/unknown/x.png"):
        write_phantom(tmp_path / name, 1)
    reading = read_class_folders(tmp_path)
    assert [(film.name, film.label, film.patient_id) for film in reading.films] == [
        ("set/Normal/n1.png", 0, ""),
        ("set/Osteoporosis/left/P7-a.png", 2, ""),
    ]
    assert [(each.name, each.reason) for each in reading.left_out] == [("set/unknown/x.png", "no_class")]
    assert [film.patient_id for film in read_class_folders(tmp_path, r"^([A-Za-z]+\d+)").films] == ["n1", "P7"]
    with pytest.raises(TrainingDataError, match="no patient in n1"):
        read_class_folders(tmp_path, r"^(P\d+)")
    with pytest.raises(TrainingDataError, match="no image"):
        read_class_folders(tmp_path / "set" / "unknown")


def write_film(path: Path, seed: int, **header: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = dcmread(write(path, draw(PhantomParameters(rows=220, columns=180, marker=False), seed)))
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


def test_dicom_files_below_a_class_bring_their_patient_whatever_they_are_called(tmp_path):
    known = {"PatientID": "77", "IssuerOfPatientID": "HOSP", "PatientSex": "F", "PatientAge": "070Y"}
    write_film(tmp_path / "Normal" / "IM0001", 1, **known)
    write_film(tmp_path / "Normal" / "b.dcm", 2, **known)
    (tmp_path / "Normal" / "notes.txt").write_text("no image")
    (tmp_path / "Normal" / "cut.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 20)
    reading = read_class_folders(tmp_path)
    assert [(film.name, film.patient_id, film.sex, film.age_years) for film in reading.films] == [
        ("Normal/IM0001", "77^HOSP", "F", 70.0),
        ("Normal/b.dcm", "77^HOSP", "F", 70.0),
    ]
    assert ("Normal/notes.txt", "no_image") in {(each.name, each.reason) for each in reading.left_out}
    assert len({knee.group for knee in prepare(reading.films, SMALL).knees}) == 1
    assert [film.patient_id for film in read_class_folders(tmp_path, "^(.)").films] == ["I", "b"]


def test_two_folders_are_one_data_set(tmp_path):
    for name in ("a/Normal/1.png", "b/Osteopenia/1.png"):
        write_phantom(tmp_path / name, 1)
    assert [film.name for film in read_data([tmp_path / "a", tmp_path / "b"]).films] == ["a/Normal/1.png", "b/Osteopenia/1.png"]


def test_equal_ids_of_two_folders_are_one_patient_or_two(tmp_path, phantoms):
    row = next(row for row in read_rows(phantoms / "labels.csv") if row["age"])
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        (folder / "images").symlink_to(phantoms / "images")
        write_labels(folder / "labels.csv", [{**row, "patient_id": "7", "label_cls": "1.0"}])
    folders = [tmp_path / "a", tmp_path / "b"]
    assert [(film.patient_id, film.label) for film in read_data(folders).films] == [("7", 1), ("7", 1)]
    assert [film.patient_id for film in read_data(folders, separate_patients=True).films] == ["a/7", "b/7"]
    assert [film.patient_id for film in read_data(folders[:1], separate_patients=True).films] == ["7"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label_cls": "3"}, "row 2: label_cls"),
        ({"age": "old"}, "row 2: age is no number"),
        ({"age": "131"}, "row 2: age is out of range"),
        ({"bmi": "0.0024"}, "row 2: bmi is out of range"),
        ({"t_score": "-25"}, "row 2: t_score is out of range"),
        ({"label_cls": "1.5"}, "row 2: label_cls"),
        ({"sex": "X"}, "row 2: sex"),
        ({"image": "../secret.png"}, "row 2: its image"),
        ({"image": "gone.png"}, "row 2: its image"),
    ],
)
def test_a_table_that_is_wrong_names_its_row(phantoms, tmp_path, change, said):
    (tmp_path / "secret.png").write_bytes(b"")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "images").symlink_to(phantoms / "images")
    row = next(row for row in read_rows(phantoms / "labels.csv") if row["age"])
    write_labels(folder / "labels.csv", [{**row, **change}])
    with pytest.raises(TrainingDataError, match=said):
        read_data([folder])


def test_the_shared_knees_are_read_with_their_covariates():
    folder = SHARED / "knees"
    if not folder.is_dir():
        pytest.skip("../shared/knees is not beside this checkout")
    films = read_data([folder]).films
    assert [[film.label for film in films].count(label) for label in range(3)] == [24, 107, 33]
    assert (films[0].patient_id, films[0].age_years, films[0].sex, films[0].bmi, films[0].t_score) == ("N10", 30.0, "F", 30.21, -0.58)


def test_dicom_files_take_their_label_from_the_table_and_their_patient_from_the_header(tmp_path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    path = write(tmp_path / "in" / "a" / "film", draw(PhantomParameters(rows=220, columns=180), 3))
    dataset = dcmread(path)
    dataset.PatientID, dataset.IssuerOfPatientID, dataset.PatientSex = "77", "HOSP", "F"
    dataset.PatientBirthDate, dataset.StudyDate, dataset.PatientAge = "19500101", "20200101", None
    dataset.PatientSize, dataset.PatientWeight = "1.60", "64"
    dataset.save_as(path)
    write_labels(tmp_path / "in" / "labels.csv", [{"sop_instance_uid": dataset.SOPInstanceUID, "label_cls": 2, "bmi": "30.5"}])
    (film,) = read_data([tmp_path / "in"]).films
    assert (film.name, film.label, film.patient_id, film.sex, film.bmi) == ("a/film", 2, "77^HOSP", "F", 30.5)
    assert film.age_years == pytest.approx(70.0, abs=0.01)
    assert prepare([film], SMALL).images.shape == (1, 64, 64)


def test_a_bilateral_film_gives_two_knees_of_one_group(tmp_path):
    write_phantom(tmp_path / "Normal" / "both.png", 4, knees=2)
    write_phantom(tmp_path / "Osteopenia" / "one.png", 9, density=0.1)
    data = prepare(read_data([tmp_path]).films, SMALL)
    assert [knee.name for knee in data.knees] == ["Normal/both.png#1", "Normal/both.png#2", "Osteopenia/one.png"]
    assert [knee.group for knee in data.knees] == ["g0000", "g0000", "g0001"]
    assert [knee.family for knee in data.knees] == ["wide", "wide", "tall"]


def test_a_copy_is_left_out_and_contradicting_copies_both(tmp_path):
    first = write_phantom(tmp_path / "Normal" / "a.png", 1)
    shutil.copy(first, tmp_path / "Normal" / "copy.png")
    other = write_phantom(tmp_path / "Osteopenia" / "b.png", 2)
    (tmp_path / "Osteoporosis").mkdir()
    shutil.copy(other, tmp_path / "Osteoporosis" / "b.png")
    (tmp_path / "Normal" / "broken.png").write_bytes(b"no image")
    data = prepare(read_data([tmp_path]).films, SMALL)
    assert [knee.name for knee in data.knees] == ["Normal/a.png"]
    assert {(each.name, each.reason) for each in data.left_out} == {
        ("Normal/broken.png", "unreadable"),
        ("Normal/copy.png", "duplicate"),
        ("Osteopenia/b.png", "contradictory"),
        ("Osteoporosis/b.png", "contradictory"),
    }


def test_a_film_that_was_resized_and_compressed_has_nearly_the_hash_of_its_origin(tmp_path):
    origin = cv2.imread(str(write_phantom(tmp_path / "a.png", 6)), cv2.IMREAD_GRAYSCALE)
    smaller = cv2.resize(origin, (90, 110), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "b.jpg"), smaller, [cv2.IMWRITE_JPEG_QUALITY, 60])
    again = cv2.imread(str(tmp_path / "b.jpg"), cv2.IMREAD_GRAYSCALE)
    noise = np.random.default_rng(1).integers(0, 256, origin.shape, np.uint8)
    assert distance(perceptual_hash(origin), perceptual_hash(again)) <= 4
    assert distance(perceptual_hash(origin), perceptual_hash(noise)) > 16


def test_groups_join_what_is_tied_by_steps():
    def traits(patient: str, film: str, digest: str, perceptual: int) -> Traits:
        return Traits(patient_id=patient, film=film, digests=(digest,), perceptual=perceptual)

    far = 0xFFFF
    knees = [
        traits("a", "1", "x", 0),
        traits("b", "2", "y", far << 16),
        traits("a", "3", "z", far << 32),
        traits("", "4", "z", far << 48),
        traits("", "5", "w", (far << 48) ^ 0b11),
        traits("", "6", "v", far),
    ]
    assert grouped(knees, 4) == ("g0000", "g0001", "g0000", "g0000", "g0000", "g0002")
    assert grouped(knees, 1)[4] != grouped(knees, 1)[3]


@pytest.mark.parametrize(
    ("patients", "groups"), [(("7^A", "7^B", "8"), 3), (("7^A", "7", "8"), 2), (("7^A", "7", "7^B"), 1), (("", "^A", ""), 3)]
)
def test_a_bare_patient_id_ties_with_the_same_id_of_any_issuer(patients, groups):
    knees = [
        Traits(patient_id=patient, film=str(place), digests=(str(place),), perceptual=0xFFFF << 16 * place)
        for place, patient in enumerate(patients)
    ]
    assert len(set(grouped(knees, 0))) == groups


def test_a_copy_that_is_left_out_still_ties_the_patients_who_claim_it(tmp_path):
    write_phantom(tmp_path / "images" / "a.png", 1)
    shutil.copy(tmp_path / "images" / "a.png", tmp_path / "images" / "b.png")
    for seed, name in enumerate("cde", 2):
        write_phantom(tmp_path / "images" / f"{name}.png", seed)
    patients = {"e": "P3", "a": "P1", "b": "P2", "c": "P2", "d": "P1"}
    for labels in ({"a": 0, "b": 0}, {"a": 0, "b": 2}):
        rows = [{"image": f"{name}.png", "patient_id": patient, "label_cls": labels.get(name, 0)} for name, patient in patients.items()]
        write_labels(tmp_path / "labels.csv", rows)
        groups = {knee.name: knee.group for knee in prepare(read_data([tmp_path]).films, SMALL).knees}
        assert (groups["e.png"], groups["c.png"], groups["d.png"]) == ("g0000", "g0001", "g0001")


def test_a_knee_that_is_refused_still_ties(tmp_path, monkeypatch):
    films = [Film(name=name, path=write_phantom(tmp_path / f"{name}.png", seed), label=0, patient_id=patient)
             for name, seed, patient in (("a", 1, "P1"), ("b", 2, "P2"), ("c", 3, "P1"))]  # fmt: skip
    shutil.copy(films[0].path, tmp_path / "copy.png")
    films.append(Film(name="copy", path=tmp_path / "copy.png", label=0, patient_id="P2"))
    digest = prepare(films[:1], SMALL).knees[0].sha256
    monkeypatch.setattr(knee_set, "_refusals", lambda found, _: "metal" if found.knees[0].sha256 == digest else "")
    data = prepare(films, SMALL)
    assert [(knee.name, knee.group) for knee in data.knees] == [("b", "g0000"), ("c", "g0000")]
    assert [(each.name, each.reason) for each in data.left_out] == [("a", "metal"), ("copy", "metal")]


@pytest.fixture(scope="module")
def prepared(phantoms: Path) -> KneeSet:
    return prepare(read_data([phantoms]).films, SMALL)


@pytest.mark.parametrize("plan", [PlanSettings(), PlanSettings(kind="folds", folds=4), PlanSettings(kind="folds", validation_parts=0)])
def test_parts_are_disjoint_by_group_stratified_and_the_same_again(prepared, plan):
    parts = split(prepared.knees, plan, 42)
    assert len(parts) == (1 if plan.kind == "holdout" else plan.folds)
    for part, again in zip(parts, split(prepared.knees, plan, 42), strict=True):
        chosen = (part.train, part.validation, part.test)
        assert sorted(np.concatenate(chosen).tolist()) == list(range(len(prepared.knees)))
        groups = [{prepared.knees[place].group for place in places} for places in chosen]
        assert sum(map(len, groups)) == len(set.union(*groups))
        share = np.mean([prepared.knees[place].is_bone_loss for place in part.test])
        assert share == pytest.approx(0.5, abs=0.15)
        assert np.array_equal(part.test, again.test)
    tested = np.concatenate([part.test for part in parts])
    assert len(set(tested.tolist())) == len(tested)
    assert len(tested) == len(prepared.knees) or plan.kind == "holdout"


def test_the_default_plan_has_the_papers_shares(prepared):
    (part,) = split(prepared.knees, PlanSettings(), 42)
    total = len(prepared.knees)
    assert (len(part.train) / total, len(part.test) / total) == pytest.approx((1120 / 1570, 224 / 1570), abs=0.05)


def test_more_parts_than_patients_of_a_class_are_refused(prepared):
    with pytest.raises(TrainingDataError, match="20 parts of 15 patients with osteopenia"):
        split(prepared.knees, PlanSettings(kind="folds", folds=20), 42)


def test_training_on_everything_tests_nothing(prepared):
    (part,) = split(prepared.knees, PlanSettings(kind="all"), 42)
    assert (len(part.train), len(part.validation), len(part.test)) == (len(prepared.knees), 0, 0)
