"""Everything for which a bundle is refused before a network is built: as an exception, and by `strnet bundle verify`."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from strnet_core import errors
from strnet_core.bundle import card_text, load_bundle, read_golden, read_weights
from strnet_core.bundle.folder import is_pickle
from strnet_core.cli.main import app
from tests.unit.strnet_core.bundle_files import STATISTICS, edit, edit_golden, flip_a_bit, golden, make


def in_document(change: Callable) -> Callable:
    return lambda folder: edit(folder, change)


def raw(name: str, content: bytes) -> Callable:
    return lambda folder: (folder / name).write_bytes(content)


def torch_file(name: str) -> Callable:
    return lambda folder: torch.save({"weight": torch.zeros(1)}, folder / name)


def link(name: str, target: Path | str) -> Callable:
    def spoil(folder: Path) -> None:
        if (folder / name).exists():
            # the content is the right one, only that it lies elsewhere
            (folder / name).rename(folder.parent / "outside")
            (folder / name).symlink_to(folder.parent / "outside")
        else:
            (folder / name).symlink_to(target)

    return spoil


def set_in(part: str, **values: object) -> Callable:
    return in_document(lambda document: document[part].update(values))


REFUSALS = {
    "flipped bit in the weights": (lambda folder: flip_a_bit(folder / "weights.safetensors"), errors.WeightsDamagedError, "instead of"),
    "flipped bit in the card": (lambda folder: flip_a_bit(folder / "card.md"), errors.CardDamagedError, "instead of"),
    "flipped bit in the golden vectors": (
        lambda folder: flip_a_bit(folder / "golden" / "golden.json"),
        errors.GoldenDamagedError,
        "instead of",
    ),
    "missing key": (in_document(lambda document: document.pop("labels")), errors.BundleKeyMissingError, "missing key labels"),
    "missing null": (
        in_document(lambda document: document.pop("reference_statistics")),
        errors.BundleKeyMissingError,
        "reference_statistics",
    ),
    "missing inner key": (
        in_document(lambda document: document["thresholds"].pop("severity")),
        errors.BundleKeyMissingError,
        "thresholds.severity",
    ),
    "extra key": (in_document(lambda document: document.update(surprise=1)), errors.BundleKeyUnknownError, "unknown key surprise"),
    "extra inner key": (set_in("thresholds", third=0.5), errors.BundleKeyUnknownError, "thresholds.third"),
    "undeclared preprocessing field": (set_in("preprocessing", size=1), errors.BundlePreprocessingError, "unknown key preprocessing.size"),
    "missing preprocessing field": (
        in_document(lambda document: document["preprocessing"].pop("antialias")),
        errors.BundlePreprocessingError,
        "missing key preprocessing.antialias",
    ),
    "preprocessing out of range": (set_in("preprocessing", margin=0.9), errors.BundlePreprocessingError, "margin"),
    "preprocessing of another type": (set_in("preprocessing", antialias=1), errors.BundlePreprocessingError, "preprocessing.antialias"),
    "covariates out of range": (set_in("covariates", age_divisor=0.0), errors.BundleSchemaError, "age_divisor"),
    "statistics that contradict": (set_in("reference_statistics", fallback_rate=1.5), errors.BundleSchemaError, "fallback_rate"),
    "statistics without a set": (set_in("reference_statistics", over=" "), errors.BundleSchemaError, "over"),
    "quantiles that fall": (set_in("reference_statistics", logit_quantiles=[1.0] * 10 + [0.0]), errors.BundleSchemaError, "quantiles"),
    "threshold of other weights": (set_in("thresholds", weights_sha256="0" * 64), errors.ThresholdUnboundError, "000000000000"),
    "threshold out of range": (set_in("thresholds", screening=1.0), errors.BundleSchemaError, "thresholds.screening"),
    "former schema": (in_document(lambda document: document.update(schema=1)), errors.BundleVersionError, "create-demo"),
    "future schema": (in_document(lambda document: document.update(schema=3)), errors.BundleVersionError, "schema 3"),
    "no such use": (in_document(lambda document: document.update(intended_use="everything")), errors.BundleSchemaError, "intended_use"),
    "number as text": (in_document(lambda document: document.update(parameters="12")), errors.BundleSchemaError, "parameters"),
    "label that is no text": (in_document(lambda document: document.update(labels=["a", 2, "c"])), errors.BundleSchemaError, "labels"),
    "hash that is none": (in_document(lambda document: document.update(card_sha256="ABC")), errors.BundleSchemaError, "card_sha256"),
    "not JSON": (raw("bundle.json", b"{"), errors.BundleSchemaError, "JSON"),
    "not an object": (raw("bundle.json", b"[]"), errors.BundleSchemaError, "object"),
    "not UTF-8": (raw("bundle.json", b"\xff"), errors.BundleSchemaError, "JSON"),
    "repeated key": (raw("bundle.json", b'{"schema": 2, "schema": 2}'), errors.BundleSchemaError, "repeated"),
    "not a number": (raw("bundle.json", b'{"schema": NaN}'), errors.BundleSchemaError, "NaN"),
    "pickle by its suffix": (raw("model.pkl", b""), errors.PickleInBundleError, "model.pkl"),
    "pickle by its suffix, deeper": (raw("golden/old.PTH", b""), errors.PickleInBundleError, "golden/old.PTH"),
    "pickle under an innocent name": (raw("notes.txt", pickle.dumps({"a": 1})), errors.PickleInBundleError, "notes.txt"),
    "torch file under an innocent name": (torch_file("readme"), errors.PickleInBundleError, "readme"),
    "torch file as the weights": (torch_file("weights.safetensors"), errors.PickleInBundleError, "weights.safetensors"),
    "unknown file": (raw("notes.txt", b"see wiki"), errors.BundleFolderError, "notes.txt"),
    "unknown folder": (lambda folder: (folder / "old").mkdir(), errors.BundleFolderError, "old"),
    "pipe": (lambda folder: os.mkfifo(folder / "pipe"), errors.BundleFolderError, "pipe"),
    "link out of the folder": (link("notes", "/etc/hostname"), errors.BundleFolderError, "notes is a link"),
    "weights that are a link": (link("weights.safetensors", ""), errors.BundleFolderError, "weights.safetensors is a link"),
    "card that is a link": (link("card.md", ""), errors.BundleFolderError, "card.md is a link"),
    "folder that is a link": (link("golden", ""), errors.BundleFolderError, "golden is a link"),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), errors.BundleMissingError, "weights.safetensors"),
    "no card": (lambda folder: (folder / "card.md").unlink(), errors.BundleMissingError, "card.md"),
    "no golden vectors": (lambda folder: (folder / "golden" / "golden.json").unlink(), errors.BundleMissingError, "golden/golden.json"),
    "no description": (lambda folder: (folder / "bundle.json").unlink(), errors.BundleMissingError, "bundle.json"),
    "endless card": (raw("card.md", b" " * (16 * 2**20 + 1)), errors.BundleFolderError, "card.md is larger"),
    "golden vector without its map": (
        lambda folder: edit_golden(folder, lambda document: document["vectors"][0].pop("saliency")),
        errors.BundleKeyMissingError,
        "saliency",
    ),
    "golden map that is no square": (
        lambda folder: edit_golden(folder, lambda document: document["vectors"][0]["saliency"].pop()),
        errors.BundleSchemaError,
        "saliency",
    ),
    "tolerance that proves nothing": (
        lambda folder: edit_golden(folder, lambda document: document["tolerances"]["float32"].update(logit=1e9)),
        errors.BundleSchemaError,
        "logit",
    ),
    "extra key in the golden vectors": (
        lambda folder: edit_golden(folder, lambda document: document["vectors"][0].update(note="x")),
        errors.BundleKeyUnknownError,
        "note",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_spoilt_bundle_is_refused_with_its_own_code_and_the_culprit_named(name, tmp_path):
    spoil, expected, named = REFUSALS[name]
    folder = make(tmp_path / "bundle", reference_statistics=STATISTICS, golden=golden()).folder
    spoil(folder)
    with pytest.raises(errors.BundleError) as caught:
        load_bundle(folder)
    assert type(caught.value) is expected
    assert named in str(caught.value)
    result = CliRunner().invoke(app, ["bundle", "verify", str(folder), "--device", "cpu"])
    assert result.exit_code == 1
    assert result.output.startswith(f"{expected.code}: ")
    assert named in result.output
    assert "Traceback" not in result.output


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(errors.BundleMissingError):
        load_bundle(tmp_path / "absent")


def test_a_folder_may_itself_be_reached_by_a_link(tmp_path):
    bundle = make(tmp_path / "1.0")
    (tmp_path / "current").symlink_to("1.0")
    assert load_bundle(tmp_path / "current").bundle_hash == bundle.bundle_hash


@pytest.mark.parametrize(
    ("name", "read", "expected"),
    [
        ("weights.safetensors", read_weights, errors.WeightsDamagedError),
        ("card.md", card_text, errors.CardDamagedError),
        ("golden/golden.json", read_golden, errors.GoldenDamagedError),
    ],
)
def test_a_file_that_is_exchanged_after_loading_is_not_used(tmp_path, name, read, expected):
    bundle = make(tmp_path / "bundle", golden=golden())
    other = make(tmp_path / "other", weights={"layer.weight": np.ones(3, np.float32)}, card="# other")
    (bundle.folder / name).write_bytes((other.folder / name).read_bytes())
    with pytest.raises(expected):
        read(bundle)


def test_every_pickle_protocol_is_known_by_its_first_bytes():
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert is_pickle(pickle.dumps({"a": [1, 2]}, protocol)[:16])


@pytest.mark.parametrize("length", [0x0280, 0x0480, 0x010580])
def test_weights_whose_header_length_looks_like_a_pickle_are_still_weights(length):
    header = json.dumps({}).ljust(length).encode()
    assert not is_pickle((len(header).to_bytes(8, "little") + header)[:16])
