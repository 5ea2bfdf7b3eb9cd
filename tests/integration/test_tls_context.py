"""The TLS context against real handshakes: Python's and OpenSSL's own client."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config import TlsSettings
from gateway.errors import CertificateError
from gateway.receive.tls import Kept, Loaded, TlsContexts, TlsIdentity, identity_of, refusal_reason, seconds_left
from tests.peers.authority import SERVER_ONLY, Authority, Pair

OPENSSL = shutil.which("openssl")


@dataclass
class Site:
    """Our files and authority, and what the contexts have told."""

    authority: Authority
    ours: Pair
    settings: TlsSettings
    told: list[Loaded | Kept] = field(default_factory=list)

    def contexts(self) -> TlsContexts:
        return TlsContexts(self.settings, self.told.append)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    authority = Authority(tmp_path)
    ours = authority.issue("gateway", dns="localhost")
    settings = TlsSettings(required=True, certificate=ours.certificate, key=ours.key, authorities=authority.file)
    return Site(authority, ours, settings)


@dataclass
class Seen:
    """What the server side of one connection came to."""

    identity: TlsIdentity | None = None
    refusal: str = ""
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def listening(contexts: TlsContexts) -> Iterator[tuple[int, Callable[[], Seen]]]:
    """A port that takes one connection per call of the function, which waits for its outcome."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve(seen: Seen) -> None:
            connection, _ = listener.accept()
            connection.settimeout(20)
            context = contexts.current()
            assert context is not None
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    seen.identity = identity_of(secure)
                    secure.sendall(b"hello")
            except OSError as error:
                seen.refusal = refusal_reason(error)
                connection.close()
            seen.done.set()

        def take() -> Seen:
            seen = Seen()
            threading.Thread(target=serve, args=(seen,), daemon=True).start()
            return seen

        yield listener.getsockname()[1], take


def client(site: Site, pair: Pair | None, *, version: ssl.TLSVersion | None = None, old: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(site.authority.file))
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    if old:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    if version is not None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
    return context


def connect(site: Site, contexts: TlsContexts, context: ssl.SSLContext) -> Seen:
    with listening(contexts) as (port, take):
        seen = take()
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 20) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secure,
            ):
                secure.recv(5)
        except OSError:
            pass
        assert seen.done.wait(20)
    return seen


@pytest.mark.parametrize(("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_sender_with_a_certificate_is_known_by_digest_and_names(site: Site, version: ssl.TLSVersion, name: str) -> None:
    pair = site.authority.issue("XRAY1", dns="Xray1.example.org")
    seen = connect(site, site.contexts(), client(site, pair, version=version))
    assert seen.identity is not None
    assert seen.identity.version == name
    assert seen.identity.certificate is not None
    assert seen.identity.certificate.identities == {f"sha256:{pair.sha256}", "cn:XRAY1", "dns:xray1.example.org"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("none", "no_certificate"),
        ("expired", "certificate_expired"),
        ("other authority", "certificate_untrusted"),
        ("server only", "certificate_purpose"),
        ("TLS 1.1", "tls_version"),
    ],
)
def test_handshake_is_refused_with_its_reason(site: Site, tmp_path: Path, kind: str, reason: str) -> None:
    pair = {
        "none": lambda: None,
        "expired": lambda: site.authority.issue("XRAY1", valid_hours=-1),
        "other authority": lambda: Authority(tmp_path / "other", "Other CA").issue("XRAY1"),
        "server only": lambda: site.authority.issue("XRAY1", purpose=SERVER_ONLY),
        "TLS 1.1": lambda: site.authority.issue("XRAY1"),
    }[kind]()
    with pytest.warns(DeprecationWarning, match="TLS") if kind == "TLS 1.1" else _quiet():
        context = client(site, pair, version=ssl.TLSVersion.TLSv1_1 if kind == "TLS 1.1" else None, old=kind == "TLS 1.1")
    seen = connect(site, site.contexts(), context)
    assert (seen.refusal, seen.identity) == (reason, None)


@contextmanager
def _quiet() -> Iterator[None]:
    yield


@pytest.mark.parametrize("content", [b"\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00" + bytes(200), b"GET / HTTP/1.1\r\n\r\n"])
def test_plain_bytes_are_refused(site: Site, content: bytes) -> None:
    with listening(site.contexts()) as (port, take):
        seen = take()
        with socket.create_connection(("127.0.0.1", port), 20) as plain:
            plain.sendall(content)
            assert seen.done.wait(20)
    assert (seen.refusal, seen.identity) == ("no_tls", None)


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        (["-tls1_2"], True),
        (["-tls1_3"], True),
        (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], False),
        (["-tls1_2", "-cipher", "AES256-SHA"], False),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], False),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], True),
    ],
)
def test_openssl_gets_forward_secret_suites_of_two_versions_only(site: Site, options: list[str], accepted: bool) -> None:
    pair = site.authority.issue("XRAY1")
    with listening(site.contexts()) as (port, take):
        seen = take()
        command = [str(OPENSSL), "s_client", "-connect", f"127.0.0.1:{port}", "-cert", str(pair.certificate), "-key", str(pair.key)]
        subprocess.run([*command, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        assert seen.done.wait(20)
    assert (seen.identity is not None) == accepted, seen.refusal


def test_changed_certificate_is_taken_up_without_a_restart(site: Site) -> None:
    contexts = site.contexts()
    before = contexts.current()
    assert contexts.current() is before
    replaced = site.authority.issue("gateway", dns="localhost", file="new")
    replaced.certificate.replace(site.settings.certificate)
    replaced.key.replace(site.settings.key)
    assert contexts.current() is not before
    assert [type(change) for change in site.told] == [Loaded, Loaded]
    assert isinstance(site.told[-1], Loaded)
    assert site.told[-1].certificate.sha256 == replaced.sha256


def test_changed_authorities_hold_for_new_connections(site: Site, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Other CA")
    pair = other.issue("XRAY1")
    contexts = site.contexts()
    assert connect(site, contexts, client(site, pair)).refusal == "certificate_untrusted"
    site.settings.authorities.write_bytes(site.authority.file.read_bytes() + other.file.read_bytes())
    assert connect(site, contexts, client(site, pair)).identity is not None


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("garbage", "certificate_unreadable"),
        ("gone", "certificate_unreadable"),
        ("other key", "key_mismatch"),
        ("key with a password", "key_unreadable"),
        ("expired", "certificate_expired"),
        ("no authorities", "authorities_unreadable"),
    ],
)
def test_bad_new_files_keep_the_old_ones_and_are_told_once(site: Site, damage: str, reason: str) -> None:
    sender = client(site, site.authority.issue("XRAY1"))
    contexts = site.contexts()
    before = contexts.current()
    settings = site.settings
    if damage == "garbage":
        settings.certificate.write_text("no certificate")
    elif damage == "gone":
        settings.certificate.unlink()
    elif damage == "other key":
        site.authority.issue("other").key.replace(settings.key)
    elif damage == "key with a password":
        site.authority.issue("other", password=b"secret").key.replace(settings.key)
    elif damage == "expired":
        old = site.authority.issue("gateway", valid_hours=-1)
        settings.certificate.write_bytes(old.certificate.read_bytes())
        settings.key.write_bytes(old.key.read_bytes())
    else:
        settings.authorities.write_text("")
    for _ in range(3):
        assert contexts.current() is before
    assert site.told[1:] == [Kept(reason=reason)]
    assert connect(site, contexts, sender).refusal == ""


def test_unusable_files_at_the_start_are_refused_with_the_remedy(site: Site) -> None:
    site.settings.key.unlink()
    with pytest.raises(CertificateError, match=r"tls\.key.*key_unreadable"):
        site.contexts()


def test_without_tls_no_file_is_needed_and_connections_are_plain(tmp_path: Path) -> None:
    settings = TlsSettings(certificate=tmp_path / "absent", key=tmp_path / "absent", authorities=tmp_path / "absent")
    assert TlsContexts(settings, lambda _change: None).current() is None
    assert seconds_left(settings, datetime.now(UTC)) is None


def test_time_until_expiry_is_that_of_the_file(site: Site) -> None:
    assert 7000 < (seconds_left(site.settings, datetime.now(UTC)) or 0) <= 7200
    old = site.authority.issue("gateway", valid_hours=-1)
    assert old.certificate == site.settings.certificate
    assert -3700 < (seconds_left(site.settings, datetime.now(UTC)) or 0) < -3500
