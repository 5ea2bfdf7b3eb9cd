"""The limited child that decodes pixels: what it survives, and what its caller is told."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from gateway.config import QualitySettings, WorkerSettings
from gateway.errors import DecodeAnswerError, DecodeError, DecodeMemoryError, DecoderCrashedError, DecodeTimeoutError
from gateway.inference.decoder import Decoder
from gateway.inference.decoder_child import serve
from gateway.inference.phantoms import PhantomStudy, phantom_instance, phantom_parameters
from gateway.routing.quality import Judgement, judge
from strnet_core.bundle import PreprocessingSettings

STUDY = PhantomStudy(
    seed=1,
    number=1,
    patient_name="A^B",
    patient_id="1",
    birth_date="19500101",
    sex="F",
    taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    accession_number="1",
)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "knee.dcm"
    instance = phantom_instance(STUDY, phantom_parameters(rows=600, columns=500), instance_number=1)
    instance.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def decoders() -> Iterator[Callable[..., Decoder]]:
    made: list[Decoder] = []

    def make(**limits: object) -> Decoder:
        made.append(Decoder(WorkerSettings(**limits), PreprocessingSettings()))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for decoder in made:
        decoder.close()


def child_of(decoder: Decoder) -> int:
    assert decoder._process is not None
    assert decoder._process.pid is not None
    return decoder._process.pid


def test_child_is_reused_and_gives_the_networks_input_and_the_presentation(decoders: Callable[..., Decoder], phantom: Path) -> None:
    decoder = decoders()
    prepared = decoder.prepare(phantom)
    first = child_of(decoder)
    again, shown = decoder.prepare(phantom), decoder.present(phantom)
    assert child_of(decoder) == first
    (knee,), (same,) = prepared.knees, again.knees
    assert (knee.position, knee.image.shape, knee.image.dtype) == (1, (512, 512), np.uint8)
    assert np.array_equal(knee.image, same.image)
    assert judge(prepared.measures, QualitySettings()) == judge(knee.measures, QualitySettings()) == Judgement(refusal=None, warnings=())
    assert shown.shape == (prepared.rows, prepared.columns) == (600, 500)


def test_film_of_two_knees_gives_both_from_left_to_right(decoders: Callable[..., Decoder], tmp_path: Path) -> None:
    film = tmp_path / "film.dcm"
    phantom_instance(STUDY, phantom_parameters(knees=2, rows=600, columns=900), instance_number=3).save_as(film, enforce_file_format=True)
    left, right = decoders().prepare(film).knees
    assert (left.position, right.position) == (1, 2)
    assert 0 <= left.region.left < left.region.right <= right.region.left < right.region.right <= 900
    assert left.image_sha256 != right.image_sha256


def test_child_is_replaced_after_its_number_of_images(decoders: Callable[..., Decoder], phantom: Path) -> None:
    decoder = decoders(decode_images_per_child=2)
    decoder.prepare(phantom)
    first = child_of(decoder)
    decoder.prepare(phantom)
    assert decoder._process is None
    decoder.prepare(phantom)
    assert child_of(decoder) != first


def dies_of_the_request(decoder: Decoder, number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped, so that it does nothing with the next request before the signal ends it."""
    pid, connection = child_of(decoder), decoder._connection
    assert connection is not None
    os.kill(pid, signal.SIGSTOP)
    send = connection.send_bytes

    def sent(content: bytes) -> None:
        send(content)
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)

    monkeypatch.setattr(connection, "send_bytes", sent)


def test_file_that_cannot_be_decoded_costs_itself_alone(decoders: Callable[..., Decoder], phantom: Path, tmp_path: Path) -> None:
    decoder = decoders()
    decoder.prepare(phantom)
    child = child_of(decoder)
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(phantom.read_bytes()[:-1000])
    with pytest.raises(DecodeError, match="truncated"):
        decoder.prepare(damaged)
    assert decoder.prepare(phantom).knees
    assert child_of(decoder) == child


@pytest.mark.parametrize(
    ("number", "error", "code"),
    [(signal.SIGKILL, DecodeMemoryError, "failed_oom"), (signal.SIGSEGV, DecoderCrashedError, "failed_decode")],
)
def test_child_that_dies_is_told_by_its_signal_and_replaced(
    decoders: Callable[..., Decoder],
    phantom: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    error: type[DecodeError],
    code: str,
) -> None:
    decoder = decoders()
    decoder.prepare(phantom)
    first = child_of(decoder)
    dies_of_the_request(decoder, number, monkeypatch)
    with pytest.raises(error) as raised:
        decoder.prepare(phantom)
    assert (raised.value.code, raised.value.retryable) == (code, True)
    assert decoder.prepare(phantom).knees
    assert child_of(decoder) != first


def test_child_that_hangs_is_stopped_at_the_time_limit_and_replaced(decoders: Callable[..., Decoder], phantom: Path) -> None:
    decoder = decoders(decode_seconds=20)
    decoder.prepare(phantom)
    first = child_of(decoder)
    decoder._settings = decoder._settings.model_copy(update={"decode_seconds": 0.3})
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(DecodeTimeoutError):
        decoder.prepare(phantom)
    decoder._settings = decoder._settings.model_copy(update={"decode_seconds": 20})
    assert decoder.prepare(phantom).knees
    assert child_of(decoder) != first


def test_image_that_needs_more_memory_than_allowed_is_refused_and_the_child_goes_on(
    decoders: Callable[..., Decoder], phantom: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large.dcm"
    instance = phantom_instance(STUDY, phantom_parameters(rows=128, columns=128), instance_number=2)
    instance.Rows = instance.Columns = 8000
    instance.PixelData = bytes(2 * 8000 * 8000)
    instance.save_as(large, enforce_file_format=True)
    decoder = decoders(decode_memory_mb=1024)
    with pytest.raises(DecodeMemoryError):
        decoder.prepare(large)
    assert decoder.prepare(phantom).knees


def test_matrix_over_the_limit_is_refused_from_the_header(decoders: Callable[..., Decoder], phantom: Path) -> None:
    with pytest.raises(DecodeError, match="too_large"):
        decoders(max_rows=599).prepare(phantom)


def test_answer_to_another_request_is_never_taken(decoders: Callable[..., Decoder], phantom: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.dcm"
    phantom_instance(STUDY, phantom_parameters(rows=500, columns=400), instance_number=7).save_as(other, enforce_file_format=True)
    decoder = decoders()
    expected = decoder.prepare(other)
    first = child_of(decoder)
    assert decoder._connection is not None
    # an answer that nobody has waited for lies in the pipe
    request = {"number": "late", "what": "prepare", "path": str(phantom), "limits": {"max_rows": 8192, "max_columns": 8192}}
    decoder._connection.send_bytes(json.dumps(request).encode())
    with pytest.raises(DecodeAnswerError):
        decoder.prepare(other)
    again = decoder.prepare(other)
    assert child_of(decoder) != first
    assert (again.pixel_digest, again.rows) == (expected.pixel_digest, expected.rows)


def test_trouble_between_the_two_parts_of_an_answer_costs_the_child(
    decoders: Callable[..., Decoder], phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoders()
    decoder.prepare(phantom)
    first = child_of(decoder)

    def fail(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(decoder, "_receive", fail)
    with pytest.raises(DecodeAnswerError):
        decoder.prepare(phantom)
    monkeypatch.undo()
    assert decoder.prepare(phantom).rows == 600
    assert child_of(decoder) != first


def test_child_that_does_not_start_in_time_is_tried_again_later(
    decoders: Callable[..., Decoder], phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.inference.decoder._START_SECONDS", 0.001)
    decoder = decoders()
    with pytest.raises(DecodeTimeoutError) as told:
        decoder.prepare(phantom)
    assert told.value.retryable
    assert decoder._process is None


def test_child_whose_worker_is_gone_before_it_is_ready_ends_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(theirs, 4096, PreprocessingSettings()))
    child.start()
    theirs.close()
    ours.close()
    child.join(60)
    assert (child.exitcode, capfd.readouterr().err) == (0, "")
