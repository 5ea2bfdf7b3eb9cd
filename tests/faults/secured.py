"""Faults 44 and 50: TLS files that change while associations are open, and peers without the right certificate."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.fault import Fault, Point
from tests.faults.images import Image, image
from tests.faults.ledger import Ledger
from tests.faults.receiver import Receiver
from tests.faults.senders import association, send, storescu
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace
from tests.peers.authority import Authority, Pair

_NOTICED_SECONDS = 15


@dataclass(frozen=True, slots=True)
class _Site:
    """A receiver that speaks TLS only, and a modality with the certificate that its peer table names."""

    w: Workplace
    authority: Authority
    modality: Pair
    receiver: Receiver
    ledger: Ledger

    def store(self, one: Image, pair: Pair | None, *, calling: str = "XRAY1") -> list[str]:
        """By DCMTK's storescu; without a pair by plain DICOM. What it was answered."""
        before = len(self.w.log.answers)
        tls = ("+tls", str(pair.key), str(pair.certificate), "+cf", str(self.authority.file)) if pair else ()
        patience = ("-to", "10", "-ta", "10", "-td", "10")
        storescu([one], self.w.folder / "modality", self.receiver.port, self.w.log, calling=calling, options=(*tls, *patience))
        return self.w.log.answers[before:]

    def alerts(self, event: str, reason: str) -> int:
        """Security alerts of a kind in the audit, once they are written."""
        happens(lambda: self.ledger.audited(event, reason=reason, audit_code="110113") > 0, 5)
        return self.ledger.audited(event, reason=reason, audit_code="110113")


def _site(w: Workplace, **receiver_keys: object) -> _Site:
    authority = Authority(w.folder / "tls")
    ours, modality = authority.issue("gateway", dns="localhost"), authority.issue("XRAY1")
    tls = {"required": True, "certificate": str(ours.certificate), "key": str(ours.key), "authorities": str(authority.file)}
    sections = {
        "serve": {"development": False, "grace_seconds": 5},
        "receiver": receiver_keys,
        "tls": tls,
        "peers": [{"name": "room", "ae_title": "XRAY1", "certificates": [f"sha256:{modality.sha256}"]}],
    }
    receiver = w.receiver(sections=sections).start()
    return _Site(w, authority, modality, receiver, w.ledger(receiver))


def wrong_certificates(w: Workplace) -> Iterator[Point]:
    site = _site(w)
    yield Point("the modality's own certificate", site.store(image(1), site.modality), ["0000"])
    other = Authority(w.folder / "other", "Other CA").issue("XRAY1")
    expired = site.authority.issue("XRAY1", valid_hours=-1, file="expired")
    stranger = site.authority.issue("XRAY2")
    for name, pair, event, reason in (
        ("expired", expired, "tls:refused", "certificate_expired"),
        ("of another authority", other, "tls:refused", "certificate_untrusted"),
        ("of another modality", stranger, "association:rejected", "certificate_not_of_peer"),
        ("plain DICOM", None, "tls:refused", "no_tls"),
    ):
        yield Point(f"{name}: stored", site.store(image(2), pair), [])
        yield Point("alert 110113", site.alerts(event, reason), 1)
    for name, options, reason in (
        ("without a certificate", ("-tls1_2",), "no_certificate"),
        ("TLS 1.1", ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", *_shown(site.modality)), "tls_version"),
    ):
        yield Point(f"{name}: handshake done", _handshake(site.receiver.port, options), False)
        yield Point("alert 110113", site.alerts("tls:refused", reason), 1)
    yield Point("handshake with the right certificate", _handshake(site.receiver.port, ("-tls1_2", *_shown(site.modality))), True)
    yield Point("listening ports", _listening(site.receiver.pid), 1)
    yield Point("instances", site.ledger.count("instance"), 1)
    yield from site.ledger.invariants(w.log.acknowledged)


def _shown(pair: Pair) -> tuple[str, ...]:
    return "-cert", str(pair.certificate), "-key", str(pair.key)


def _handshake(port: int, options: Sequence[str]) -> bool:
    """By openssl: true when the server finished it and then read on, which TLS 1.2 shows at once."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    return b"Cipher is (NONE)" not in done.stdout and b"alert" not in done.stderr and done.returncode == 0


def _listening(pid: int) -> int:
    """Listening TCP sockets of a process that others can reach."""
    inodes = {link.readlink().name.partition("[")[2].rstrip("]") for link in Path(f"/proc/{pid}/fd").iterdir() if _is_socket(link)}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]]
    return sum(row[3] == "0A" and row[9] in inodes for row in rows)


def _is_socket(link: Path) -> bool:
    try:
        return str(link.readlink()).startswith("socket:")
    except OSError:
        return False


def changed_while_running(w: Workplace) -> Iterator[Point]:
    site = _site(w)
    ledger, folder = site.ledger, w.folder / "tls"
    ours, key, authorities = folder / "gateway.pem", folder / "gateway-key.pem", site.authority.file
    before = {path: path.read_bytes() for path in (ours, key, authorities)}
    yield Point("before", site.store(image(1), site.modality), ["0000"])
    expired = site.authority.issue("old", valid_hours=-1)
    for number, (name, change, reason) in enumerate(
        (
            ("certificate that is none", {ours: b"-----BEGIN nothing"}, "certificate_unreadable"),
            ("key of another certificate", {key: site.modality.key.read_bytes()}, "key_mismatch"),
            ("expired certificate", {ours: expired.certificate.read_bytes(), key: expired.key.read_bytes()}, "certificate_expired"),
            ("no authorities", {authorities: b""}, "authorities_unreadable"),
        ),
        2,
    ):
        for path, content in change.items():
            path.write_bytes(content)
        yield Point(f"{name}: the former ones serve", _served(site, image(number), before, authorities), ["0000"])
        happens(lambda reason=reason: ledger.audited("tls:certificate_kept", reason=reason) > 0, _NOTICED_SECONDS)  # type: ignore[misc]
        yield Point("alarm", ledger.audited("tls:certificate_kept", reason=reason, audit_code="110113") > 0, True)
        for path, content in before.items():
            path.write_bytes(content)
    yield from _authority_removed(w, site, before)
    yield from _other_configurations(site)
    yield Point("role died", len(site.receiver.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _served(site: _Site, one: Image, before: dict[Path, bytes], authorities: Path) -> list[str]:
    """The modality verifies us by a copy of its own: the file that is broken is the gateway's."""
    mine = authorities.with_name("mine.pem")
    mine.write_bytes(before[authorities])
    tls = ("+tls", str(site.modality.key), str(site.modality.certificate), "+cf", str(mine), "-to", "10", "-ta", "10", "-td", "10")
    earlier = len(site.w.log.answers)
    storescu([one], site.w.folder / "modality", site.receiver.port, site.w.log, options=tls)
    return site.w.log.answers[earlier:]


def _authority_removed(w: Workplace, site: _Site, before: dict[Path, bytes]) -> Iterator[Point]:
    """The peer's authority is taken away while its association is open."""
    authorities = site.authority.file
    mine = authorities.with_name("mine.pem")
    one, other = image(10), image(11)
    with _tls_association(site, mine, [one, other]) as assoc:
        yield Point("association opened before", send(assoc, one, w.log), "0000")
        loaded = site.ledger.audited("tls:certificate_loaded")
        authorities.write_bytes(Authority(w.folder / "next", "Next CA").file.read_bytes())
        yield Point("new association after its authority is removed", _served(site, image(12), before, authorities), [])
        happens(lambda: site.ledger.audited("tls:certificate_loaded") > loaded, _NOTICED_SECONDS)
        yield Point("change in the audit", site.ledger.audited("tls:certificate_loaded") > loaded, True)
        yield Point("the open association goes on", send(assoc, other, w.log), "0000")
    authorities.write_bytes(before[authorities])
    happens(lambda: _served(site, image(13), before, authorities) == ["0000"], _NOTICED_SECONDS)
    yield Point("new association when it is back", _served(site, image(14), before, authorities), ["0000"])


def _tls_association(site: _Site, authorities: Path, images: Sequence[Image]) -> AbstractContextManager[Any]:
    context = ssl.create_default_context(cafile=str(authorities))
    context.check_hostname = False
    context.load_cert_chain(site.modality.certificate, site.modality.key)
    return association(site.receiver.port, images, tls=context)


def _other_configurations(site: _Site) -> Iterator[Point]:
    """The configuration is read at the start only: a broken one is refused then, and the running gateway does not see it."""
    good = site.receiver.config.read_text(encoding="utf-8")
    beside = site.receiver.config.with_name("beside.toml")
    for name, text, code in (
        ("a syntax error", "[receiver\n", 2),
        ("an unknown key", good.replace("[receiver]", "[receiver]\nprot = 1"), 2),
        ("a port in use", good.replace("port = 0", f"port = {site.receiver.port}", 1), 78),
    ):
        beside.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "gateway.cli.main", "serve", "--role", "receiver", "--config", str(beside)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        yield Point(f"another serve with {name}: exit code", done.returncode, code)
        yield Point("the running one serves", site.store(image(20), site.modality), ["0000"])


FAULTS = (
    Fault(
        number=44,
        what="changed while running: unusable certificate, key and authorities; an authority removed with an association open; broken configurations",
        expected="the old ones stay, the event is audited; open associations go on; a serve with a broken configuration is refused",
        how="files of `[tls]` rewritten under a running receiver; DCMTK's storescu +tls",
        scenario=changed_while_running,
        needs=("storescu",),
    ),
    Fault(
        number=50,
        what="certificate expired, of another authority, of another modality, none; TLS 1.1; plain DICOM",
        expected="refused, each with a security alert (110113) in the audit; no plain port",
        how="DCMTK's storescu +tls, openssl s_client",
        scenario=wrong_certificates,
        needs=("storescu", "openssl"),
    ),
)
