"""What a `[[destinations]]` table may say: by each protocol, with TLS, with credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import DestinationSettings, load_settings, parse_settings
from gateway.errors import ConfigurationError

BASE = {"name": "pacs", "class": "test"}
DIMSE = {**BASE, "ae_title": "PACS", "host": "pacs.example.org", "port": 104}
WEB = {**BASE, "protocol": "stow_rs", "url": "https://archive.example.org/dicom-web/"}


def parsed(table: dict[str, object]) -> DestinationSettings:
    return parse_settings({"destinations": [table]}).destinations[0]


def test_address_and_checked_name_come_from_the_protocols_own_keys() -> None:
    assert (parsed(DIMSE).address, parsed(DIMSE).uses_tls) == (("pacs.example.org", 104), False)
    assert (parsed(WEB).address, parsed(WEB).uses_tls, parsed(WEB).peer_name) == (("archive.example.org", 443), True, "archive.example.org")
    assert parsed({**WEB, "url": "HTTPS://archive.example.org:8443"}).uses_tls
    assert parsed({**WEB, "url": "http://[::1]/x"}).address == ("::1", 80)
    assert parsed({**DIMSE, "tls": True, "tls_name": "other"}).peer_name == "other"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (BASE, "protocol 'dimse' needs ae_title, host, port"),
        ({**BASE, "protocol": "stow_rs"}, "protocol 'stow_rs' needs url"),
        ({**DIMSE, "url": "https://h"}, "url: only with protocol 'stow_rs'"),
        ({**WEB, "host": "h", "port": 104}, "host, port: only with protocol 'dimse'"),
        ({**WEB, "tls": True}, "tls: only with protocol 'dimse'"),
        ({**WEB, "commitment": "storage_commitment"}, "storage commitment is a DIMSE service"),
        ({**DIMSE, "tls_authorities": "ca.pem"}, "TLS is off"),
        ({**WEB, "url": "http://127.0.0.1/x", "tls_name": "n"}, "TLS is off"),
        ({**DIMSE, "tls": True, "tls_key": "key.pem"}, "tls_certificate and tls_key belong together"),
        ({**WEB, "user": "u"}, "user and password_file belong together"),
        ({**WEB, "user": "u:v", "password_file": "p"}, "no colon"),
        ({**WEB, "token_file": "t", "user": "u", "password_file": "p"}, "either token_file"),
        ({**WEB, "url": "http://archive.example.org/x", "token_file": "t"}, "over https:// only"),
        ({**WEB, "url": "ftp://h"}, "must be http://host"),
        ({**WEB, "url": "https://h/x?key=secret"}, "without a query"),
        ({**WEB, "url": "https://h:99999/x"}, "is no URL"),
        ({**DIMSE, "tls": True, "check_name": False}, "unknown key"),
    ],
)
def test_table_that_nobody_can_have_meant_is_refused_in_words(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace("(", r"\(")):
        parsed(table)


def test_password_in_a_url_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parsed({**WEB, "url": "https://u:do-not-show@h/x"})
    assert "do-not-show" not in str(refused.value)


def test_credentials_may_go_over_http_to_this_very_host_only() -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        assert parsed({**WEB, "url": f"http://{host}/x", "token_file": "t"}).token_file == Path("t")


def test_files_of_a_destination_are_relative_to_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[[destinations]]\nname = "a"\nclass = "test"\nprotocol = "stow_rs"\nurl = "https://h"\ntoken_file = "token"\ntls_authorities = "/etc/ca.pem"\n'
    )
    (found,) = load_settings(config).destinations
    assert (found.token_file, found.tls_authorities) == (tmp_path / "token", Path("/etc/ca.pem"))
