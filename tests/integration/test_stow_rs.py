"""Deliveries by STOW-RS: Orthanc's DICOMweb as a real service, and services that freeze, trickle, lie and refuse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.dicomweb import DicomWebEcho, DicomWebLink, QidoRs, StowRs
from gateway.delivery.link import Answered
from gateway.domain.delivery import NOT_TALKED_TO, Verdict
from gateway.store.database import Database
from tests.integration.bench import Bench
from tests.integration.sending import sections, sender, stories, until
from tests.integration.test_frozen_destination import SOON, large
from tests.integration.test_sender import SC, result
from tests.integration.test_tls_destination import NAME, secured, server_context
from tests.peers.authority import Authority
from tests.peers.orthanc_web import PASSWORD, USER, WebOrthanc, relaying
from tests.peers.postgresql import free_port
from tests.peers.raw_scp import Behaviour, RawScp, Visitor
from tests.peers.raw_web import RawWeb, answer, read_request, stated

SETTINGS = DeliverySettings(connect_seconds=3, response_seconds=10, message_seconds=10)
IMPATIENT = DeliverySettings(connect_seconds=0.5, response_seconds=0.5, message_seconds=1)
UID = "2.25.7"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(scope="module")
def orthanc() -> Iterator[WebOrthanc]:
    one = WebOrthanc()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return file


def destination(url: str, **changes: object) -> DestinationSettings:
    return DestinationSettings.model_validate({"name": "web", "protocol": "stow_rs", "url": url, "class": "test", **changes})


@contextmanager
def linked(to: DestinationSettings, settings: DeliverySettings = SETTINGS) -> Iterator[DicomWebLink]:
    link = DicomWebLink(to, settings, CircuitBreaker(failures=3, seconds=1))
    yield link
    link.close()


def send(to: DestinationSettings, content: bytes | None = None, settings: DeliverySettings = SETTINGS) -> Answered:
    with linked(to, settings) as link:
        started = time.monotonic()
        answered = StowRs(link).send(content or result(), SC, UID)
        assert time.monotonic() - started < SOON
        return answered


@contextmanager
def service(behaviour: Behaviour, **changes: object) -> Iterator[tuple[DestinationSettings, RawScp]]:
    with RawScp(behaviour) as scp:
        yield destination(f"http://127.0.0.1:{scp.port}/web", **changes), scp


def told(one: bytes, *, content: bytes | None = None) -> Answered:
    """What a service that answers so leads to."""
    with service(RawWeb([one])) as (to, _):
        return send(to, content)


def test_orthanc_stores_a_result_once_however_often_it_is_sent(orthanc: WebOrthanc, password: Path) -> None:
    content = result().replace(b"2.25.7", b"2.25.5")
    before = len(orthanc.get("/instances"))
    with linked(destination(orthanc.url, user=USER, password_file=password)) as link:
        for _ in range(2):
            answered = StowRs(link).send(content, SC, "2.25.5")
            assert (answered.verdict, answered.dimse_status) == (Verdict.SENT, 0)
    assert len(orthanc.get("/instances")) == before + 1
    assert orthanc.file(orthanc.instances()["2.25.5"]["orthanc"]) == content


def test_orthanc_refuses_a_wrong_password_and_takes_it_when_it_is_right(orthanc: WebOrthanc, tmp_path: Path, password: Path) -> None:
    before = orthanc.instances()
    file = tmp_path / "wrong"
    file.write_text("wrong")
    to = destination(orthanc.url, user=USER, password_file=file)
    with linked(to) as link:
        answered = StowRs(link).send(result(), SC, UID)
        assert (answered.verdict, answered.code) == (Verdict.RETRY, "http_401")
        assert orthanc.instances() == before
        file.write_bytes(password.read_bytes())
        assert StowRs(link).send(result(), SC, UID).code == "success"
    file.unlink()
    assert send(to).code == "credentials_unreadable"
    assert send(destination(orthanc.url)).code == "http_401"


def test_orthanc_says_by_qido_whether_it_has_a_result(orthanc: WebOrthanc, password: Path) -> None:
    with linked(destination(orthanc.url, user=USER, password_file=password)) as link:
        assert QidoRs(link).ask("1.2", "1.3", "2.25.8").code == "not_found"
        assert QidoRs(link).ask("1.99", "1.3", UID).code == "not_found"
        StowRs(link).send(result(), SC, UID)
        assert QidoRs(link).ask("1.2", "1.3", UID).code == "found"


def test_orthanc_is_heard_and_one_that_lets_us_not_in_or_is_gone_is_silent(orthanc: WebOrthanc, password: Path) -> None:
    echo = DicomWebEcho(SETTINGS)
    assert echo.silence(destination(orthanc.url, user=USER, password_file=password)) is None
    assert echo.silence(destination(orthanc.url)) == "http_401"
    assert echo.silence(destination(f"http://127.0.0.1:{free_port()}/web")) == "no_association"


def test_results_go_to_orthanc_by_https_under_its_own_name_only(orthanc: WebOrthanc, tmp_path: Path, password: Path) -> None:
    authority = Authority(tmp_path / "tls")
    context = server_context(authority.issue("PACS", dns=NAME))
    with RawScp(secured(context, relaying(orthanc.http_port)), receive_buffer=65536) as front:
        url = f"https://127.0.0.1:{front.port}/dicom-web"
        known = {"user": USER, "password_file": password, "tls_authorities": authority.file}
        other = result().replace(b"2.25.7", b"2.25.9")
        assert send(destination(url, tls_name="other.example.org", **known), other).code == "tls_wrong_name"
        assert send(destination(url, tls_name=NAME, **{**known, "tls_authorities": None}), other).code == "tls_untrusted"
        assert "2.25.9" not in orthanc.instances()
        with linked(destination(url, tls_name=NAME, **known)) as link:
            assert StowRs(link).send(other, SC, "2.25.9").code == "success"
        assert "2.25.9" in orthanc.instances()


def test_whole_sender_delivers_by_stow_and_finds_by_qido(
    bench: Callable[..., Bench], database: Database, orthanc: WebOrthanc, password: Path
) -> None:
    before = {*orthanc.instances()}
    chosen = sections(web=1)
    chosen["delivery"].update(response_seconds=10, message_seconds=30)
    chosen["destinations"] = [
        {
            "name": "web",
            "protocol": "stow_rs",
            "url": orthanc.url,
            "user": USER,
            "password_file": str(password),
            "class": "test",
            "commitment": "find",
        }
    ]
    here = bench(**chosen)
    uid = here.receive()
    here.work()
    with sender(here.settings, here):
        assert until(lambda: {d.state for d in stories(database, uid)} == {"found"}, 40), stories(database, uid)
    results = [one.sop_instance_uid for one in here.story(uid).results]
    assert {*orthanc.instances()} - before == {*results}
    assert {(a.kind, a.code, a.dimse_status) for d in stories(database, uid) for a in d.tried} == {
        ("send", "success", "0000"),
        ("find", "found", None),
    }


def test_service_that_is_down_is_tried_again() -> None:
    answered = send(destination(f"http://127.0.0.1:{free_port()}/web"))
    assert (answered.verdict, answered.code) == (Verdict.RETRY, "no_association")


def test_result_goes_out_byte_for_byte_with_the_token_of_the_moment(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    web = RawWeb([stated(stored=UID)])
    with service(web, token_file=token) as (to, _):
        send(to)
        token.write_text("second\n")
        send(to)
    assert [one.headers["authorization"] for one in web.asked] == ["Bearer first", "Bearer second"]
    (one, _) = web.asked
    assert one.line == "POST /web/studies HTTP/1.1"
    boundary = one.headers["content-type"].partition("boundary=")[2].encode()
    assert one.headers["content-type"].startswith('multipart/related; type="application/dicom"; ')
    assert one.headers["accept"] == "application/dicom+json"
    assert one.body == b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n" + result() + b"\r\n--" + boundary + b"--\r\n"


@pytest.mark.parametrize(
    ("said", "verdict", "code", "status"),
    [
        (stated(stored=UID), Verdict.SENT, "success", 0),
        (stated(stored=UID, reason=0xB007, status=202), Verdict.SENT, "warning", 0xB007),
        (stated(failed=UID, reason=0x0111, status=409), Verdict.SENT, "already_there", 0x0111),
        (stated(failed=UID, reason=0xA700, status=409), Verdict.RETRY, "peer_out_of_resources", 0xA700),
        (stated(failed=UID, reason=0x0110, status=202), Verdict.RETRY, "peer_processing_failure", 0x0110),
        (stated(failed=UID, reason=0x0122, status=409), Verdict.DEAD, "class_not_supported", 0x0122),
        (stated(failed=UID, reason=0xA900, status=409), Verdict.DEAD, "class_mismatch", 0xA900),
        (stated(failed=UID, reason=0xC122, status=409), Verdict.DEAD, "cannot_understand", 0xC122),
        (stated(failed=UID, reason=0xB000, status=409), Verdict.RETRY, "unknown_status", 0xB000),
        (stated(failed=UID, reason=0, status=409), Verdict.RETRY, "http_409", None),
        (stated(failed=UID, status=200), Verdict.RETRY, "http_200", None),
    ],
)
def test_what_the_answer_says_of_the_instance_decides(said: bytes, verdict: Verdict, code: str, status: int | None) -> None:
    answered = told(said)
    assert (answered.verdict, answered.code, answered.dimse_status) == (verdict, code, status)


@pytest.mark.parametrize(
    "said",
    [
        answer(200),
        answer(200, b"<html>please log in</html>"),
        answer(200, b"[" * 200_000),
        stated(stored="2.25.8"),
        answer(200, b'{"00081199": {"Value": [{"00081155": {"Value": "2.25.7"}}]}, "00081198": 7}'),
        answer(202),
        answer(204),
        answer(409),
    ],
)
def test_answer_that_does_not_name_the_instance_is_never_taken_for_sent(said: bytes) -> None:
    assert told(said).verdict is Verdict.RETRY


@pytest.mark.parametrize(
    ("status", "verdict", "talked"),
    [
        (302, Verdict.RETRY, False),
        (400, Verdict.DEAD, True),
        (401, Verdict.RETRY, False),
        (403, Verdict.RETRY, False),
        (404, Verdict.RETRY, False),
        (413, Verdict.DEAD, True),
        (415, Verdict.DEAD, True),
        (429, Verdict.RETRY, False),
        (500, Verdict.RETRY, True),
        (503, Verdict.RETRY, False),
    ],
)
def test_status_without_more_decides_and_is_the_code(status: int, verdict: Verdict, talked: bool) -> None:
    # a body that names the instance as stored changes nothing: it belongs to no such status
    answered = told(stated(stored=UID, status=status))
    assert (answered.verdict, answered.code, answered.dimse_status) == (verdict, f"http_{status}", None)
    assert (answered.code in NOT_TALKED_TO) != talked


def test_redirect_is_never_followed() -> None:
    elsewhere = RawWeb([stated(stored=UID)])
    with RawScp(elsewhere) as other:
        said = told(answer(307, b"", f"Location: http://127.0.0.1:{other.port}/web/studies"))
        assert (said.code, other.connections, elsewhere.asked) == ("http_307", 0, [])


def test_breaker_leaves_a_service_alone_that_lets_nothing_in() -> None:
    with service(RawWeb([answer(401)])) as (to, _), linked(to) as link:
        for _ in range(3):
            StowRs(link).send(result(), SC, UID)
        assert link.pause() > 0


def test_refusal_that_comes_before_the_request_is_whole_is_heard() -> None:
    def refuses(visitor: Visitor) -> None:
        visitor._exactly(1000)
        visitor.socket.sendall(answer(413, b"", "Connection: close"))

    with service(refuses) as (to, _):
        assert send(to, large(), IMPATIENT).code == "http_413"


def test_consecutive_results_go_over_one_connection_and_one_that_was_closed_costs_nothing() -> None:
    web = RawWeb([stated(stored=UID)])
    with service(web) as (to, scp), linked(to) as link:
        for _ in range(3):
            assert StowRs(link).send(result(), SC, UID).code == "success"
            link.idle()
        assert scp.connections == 1

    def closes(visitor: Visitor) -> None:
        read_request(visitor)
        visitor.socket.sendall(stated(stored=UID))

    with service(closes) as (to, scp), linked(to) as link:
        assert [StowRs(link).send(result(), SC, UID).code for _ in range(3)] == ["success"] * 3
        assert scp.connections == 3


def test_refused_repetition_does_not_hide_that_the_first_may_have_arrived() -> None:
    visits: list[Visitor] = []

    def goes_over_the_second(visitor: Visitor) -> None:
        visits.append(visitor)
        read_request(visitor)
        visitor.socket.sendall(stated(stored=UID) if len(visits) == 1 else stated(failed=UID, reason=0xC000, status=409))
        read_request(visitor)

    with service(goes_over_the_second) as (to, _), linked(to) as link:
        assert StowRs(link).send(result(), SC, UID).code == "success"
        answered = StowRs(link).send(result(), SC, UID)
        assert (answered.verdict, answered.code, answered.dimse_status) == (Verdict.RETRY, "association_lost", None)


def test_what_a_service_says_unasked_is_no_answer_to_the_next_result() -> None:
    said = threading.Event()

    def gives_up_waiting(visitor: Visitor) -> None:
        read_request(visitor)
        visitor.socket.sendall(stated(stored=UID) + (b"" if said.is_set() else answer(408)))
        said.set()
        if read_request(visitor):
            visitor.socket.sendall(stated(stored=UID))

    with service(gives_up_waiting) as (to, scp), linked(to) as link:
        assert StowRs(link).send(result(), SC, UID).code == "success"
        assert StowRs(link).send(result(), SC, UID).code == "success"
        assert scp.connections == 2


def silent(visitor: Visitor) -> None:
    visitor.ended.wait()


def answers_nothing(visitor: Visitor) -> None:
    read_request(visitor)
    visitor.ended.wait()


def trickling(first: bytes, part: bytes) -> Behaviour:
    def trickle(visitor: Visitor) -> None:
        read_request(visitor)
        visitor.socket.sendall(first)
        while not visitor.ended.wait(0.05):
            visitor.socket.sendall(part)

    return trickle


def reads_slowly(visitor: Visitor) -> None:
    while not visitor.ended.wait(0.05):
        visitor.socket.recv(1024)


@pytest.mark.parametrize(
    "behaviour",
    [
        silent,
        answers_nothing,
        reads_slowly,
        trickling(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"{"),
        trickling(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
    ],
)
def test_service_that_does_not_go_on_is_given_up_within_the_deadlines(behaviour: Behaviour) -> None:
    with service(behaviour) as (to, _):
        answered = send(to, large() if behaviour in (silent, reads_slowly) else None, IMPATIENT)
    assert (answered.verdict, answered.code) == (Verdict.RETRY, "no_response")


def test_service_that_freezes_behind_tls_is_given_up_within_the_deadlines(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    with RawScp(secured(server_context(authority.issue("PACS", dns=NAME)), answers_nothing)) as scp:
        to = destination(f"https://127.0.0.1:{scp.port}/web", tls_authorities=authority.file, tls_name=NAME)
        assert send(to, settings=IMPATIENT).code == "no_response"


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X" * 100_000 + b"\r\n\r\n",
        answer(200, bytes(2 << 20)),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_answer_of_a_service_is_a_connection_that_was_lost(said: bytes) -> None:
    answered = told(said)
    assert (answered.verdict, answered.code) == (Verdict.RETRY, "association_lost")


def test_waiting_for_a_frozen_service_is_ended_from_another_thread() -> None:
    frozen, came = threading.Event(), []

    def freezes(visitor: Visitor) -> None:
        read_request(visitor)
        frozen.set()
        visitor.ended.wait()

    patient = DeliverySettings(response_seconds=60, message_seconds=60)
    with service(freezes) as (to, _), linked(to, patient) as link:
        lane = threading.Thread(target=lambda: came.append(StowRs(link).send(result(), SC, UID).code))
        lane.start()
        assert frozen.wait(SOON)
        link.stop()
        lane.join(SOON)
        assert not lane.is_alive()
    assert came == ["interrupted"]


def test_lane_that_was_stopped_for_longer_than_its_lease_sends_nothing() -> None:
    web = RawWeb([stated(stored=UID)])
    with service(web) as (to, scp), linked(to) as link:
        assert StowRs(link).send(result(), SC, UID, until=time.monotonic()).verdict is Verdict.RETRY
        assert (scp.connections, web.asked) == (0, [])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer(200, b"[]"), "not_found"),
        (answer(204), "not_found"),
        (answer(200, b'[{"00080018": {"vr": "UI", "Value": ["2.25.7"]}}]'), "found"),
        (answer(200, b'[{"00080018": {"vr": "UI", "Value": ["2.25.8"]}}]'), "not_found"),
        (answer(200, b"<html>"), "http_200"),
        (answer(200, b"7"), "http_200"),
        (answer(200, b'[{"0020000D": {}}]'), "http_200"),
        (answer(400), "http_400"),
        (answer(404), "http_404"),
        (answer(500), "http_500"),
    ],
)
def test_search_says_that_a_result_is_not_there_only_when_the_service_says_so(said: bytes, code: str) -> None:
    with service(RawWeb([said])) as (to, _), linked(to) as link:
        assert QidoRs(link).ask("1.2", "1.3", UID).code == code


def test_credentials_stand_in_no_shown_setting(tmp_path: Path, capsys: Any) -> None:
    from typer.testing import CliRunner

    from gateway.cli.main import app

    secret = tmp_path / "secret"
    secret.write_text("do-not-show")
    config = tmp_path / "config.toml"
    config.write_text(
        '[serve]\ndevelopment = true\n[[destinations]]\nname = "web"\nprotocol = "stow_rs"\nurl = "https://h/web"\nclass = "test"\ntoken_file = "secret"\n'
    )
    for command in ("show", "check"):
        shown = CliRunner().invoke(app, ["config", command, "--config", str(config)])
        assert shown.exit_code == 0, shown.output
        assert "do-not-show" not in shown.output
    secret.write_text("two\nlines do-not-show")
    refused = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert refused.exit_code != 0
    assert "do-not-show" not in str(refused.exception) + refused.output
