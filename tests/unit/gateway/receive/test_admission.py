from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.config import PeerSettings
from gateway.receive.admission import Caller, admit
from gateway.tls.certificates import Certificate

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def shown(*identities: str) -> Certificate:
    return Certificate(sha256="a" * 64, identities=frozenset({f"sha256:{'a' * 64}", *identities}), not_before=NOON, not_after=NOON)


def peer(name: str = "room1", ae_title: str = "XRAY1", **changes: object) -> PeerSettings:
    return PeerSettings.model_validate({"name": name, "ae_title": ae_title, **changes})


@pytest.mark.parametrize(
    ("peers", "caller", "admitted", "refusal"),
    [
        ((), Caller(ae_title="ANY", address="192.0.2.1"), None, None),
        ((peer(),), Caller(ae_title="XRAY1", address="192.0.2.1"), "room1", None),
        ((peer(),), Caller(ae_title="XRAY2", address="192.0.2.1"), None, "peer_not_listed"),
        ((peer(),), Caller(ae_title="xray1", address="192.0.2.1"), None, "peer_not_listed"),
        ((peer(addresses=["192.0.2.0/24"]),), Caller(ae_title="XRAY1", address="192.0.2.77"), "room1", None),
        ((peer(addresses=["192.0.2.0/24"]),), Caller(ae_title="XRAY1", address="::ffff:192.0.2.77"), "room1", None),
        ((peer(addresses=["192.0.2.0/24"]),), Caller(ae_title="XRAY1", address="198.51.100.1"), None, "address_not_allowed"),
        ((peer(addresses=["192.0.2.0/24"]),), Caller(ae_title="XRAY1", address="no address"), None, "address_not_allowed"),
        ((peer(addresses=["2001:db8::/32"]),), Caller(ae_title="XRAY1", address="2001:db8::5"), "room1", None),
        (
            (peer(addresses=["192.0.2.1"]), peer("room2", addresses=["192.0.2.2"])),
            Caller(ae_title="XRAY1", address="192.0.2.2"),
            "room2",
            None,
        ),
        ((peer(certificates=["dns:Xray1.Example.ORG"]),), Caller(ae_title="XRAY1", address="192.0.2.1"), None, "certificate_not_of_peer"),
    ],
)
def test_sender_is_admitted_by_title_address_and_certificate(
    peers: tuple[PeerSettings, ...], caller: Caller, admitted: str | None, refusal: str | None
) -> None:
    found = admit(peers, caller)
    assert (found.peer.name if found.peer else None, found.refusal) == (admitted, refusal)


@pytest.mark.parametrize(
    ("entry", "identity", "admitted"),
    [
        ("dns:Xray1.Example.ORG", "dns:xray1.example.org", True),
        ("dns:xray1.example.org", "cn:xray1.example.org", False),
        ("cn:XRAY1", "cn:XRAY1", True),
        ("cn:XRAY1", "cn:XRAY2", False),
        ("uri:urn:dev:1", "uri:urn:dev:1", True),
        (f"SHA256:{':'.join(['AA'] * 32)}", "cn:whatever", True),
        (f"sha256:{'b' * 64}", "cn:whatever", False),
    ],
)
def test_certificate_speaks_only_for_the_peer_that_names_it(entry: str, identity: str, *, admitted: bool) -> None:
    caller = Caller(ae_title="XRAY1", address="192.0.2.1", certificate=shown(identity))
    assert (admit((peer(certificates=[entry]),), caller).refusal is None) == admitted


@pytest.mark.parametrize("entry", ["XRAY1", "sha256:abc", "dns:", "email:a@b", "sha1:" + "a" * 40])
def test_what_is_no_certificate_identity_is_refused_with_an_example(entry: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        peer(certificates=[entry])
