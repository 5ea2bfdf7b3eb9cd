"""The answer to a store transaction, from services that mean well and from others."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.http_status import meaning_of
from gateway.delivery.store_response import Stated, stated_of
from gateway.domain.delivery import Verdict

UID = "2.25.7"
_TAGS = st.sampled_from(["00081199", "00081198", "00081155", "00081196", "00081197", "Value", "vr", UID])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(UID) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TAGS, inner, max_size=4),
    max_leaves=30,
)


def item(uid: str, tag: str = "", *values: object) -> dict[str, object]:
    return {"00081155": {"vr": "UI", "Value": [uid]}, **({tag: {"vr": "US", "Value": [*values]}} if tag else {})}


def body(**sequences: list[object]) -> bytes:
    return json.dumps({name.lstrip("_"): {"vr": "SQ", "Value": items} for name, items in sequences.items()}).encode()


def test_instance_is_stored_or_failed_by_its_own_item_among_others() -> None:
    both = body(_00081199=[item("2.25.8"), item(UID, "00081196", 0xB000)], _00081198=[item("2.25.9", "00081197", 0xA700)])
    assert stated_of(both, UID) == Stated(stored=True, status=0xB000)
    assert stated_of(both, "2.25.8") == Stated(stored=True, status=None)
    assert stated_of(both, "2.25.9") == Stated(stored=False, status=0xA700)
    assert stated_of(both, "2.25.10") is None
    assert stated_of(b"[" + both + b"]", UID) == Stated(stored=True, status=0xB000)


def test_instance_that_is_named_as_stored_and_as_failed_has_failed() -> None:
    assert stated_of(body(_00081199=[item(UID)], _00081198=[item(UID, "00081197", 0x0110)]), UID) == Stated(stored=False, status=0x0110)


def test_reason_that_is_no_status_is_none() -> None:
    for value in (True, "A700", 0, -1, 0x10000, None, [1]):
        assert stated_of(body(_00081198=[item(UID, "00081197", value)]), UID) == Stated(stored=False, status=None)


@given(_JSON)
def test_any_json_is_read_without_an_error(content: object) -> None:
    stated_of(json.dumps(content).encode(), UID)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_json_say_nothing(content: bytes) -> None:
    assert stated_of(b"\xff" + content, UID) is None


@given(st.integers(min_value=-1, max_value=2000))
def test_no_status_alone_means_sent(status: int) -> None:
    assert meaning_of(status)[0] is not Verdict.SENT
