from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.config import Settings, check_may_serve, destinations_above, load_settings, parse_settings, without_password
from gateway.errors import ConfigurationError
from gateway.store.database import Database
from tests.conftest import ROOT
from tests.peers.authority import Authority

PACS = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 4242}


def test_unknown_key_is_named_with_its_place() -> None:
    with pytest.raises(ConfigurationError, match=r"receiver\.prot: unknown key"):
        parse_settings({"receiver": {"prot": 104}})


def test_shipped_file_shows_every_key_with_its_default() -> None:
    document = tomllib.loads((ROOT / "config.toml").read_text(encoding="utf-8"))
    assert document["serve"].pop("development") is True
    shipped = parse_settings(document).model_dump(mode="json", by_alias=True)
    default = Settings().model_dump(mode="json", by_alias=True)
    assert shipped == default
    lists = {"peers", "routes", "destinations"}
    for section, values in default.items():
        if section not in lists:
            assert set(document[section]) | {"development"} >= set(values), section


def test_shipped_policy_sends_nothing() -> None:
    assert [route.policy.value for route in load_settings(ROOT / "config.toml").routes] == ["shadow"]


def test_serve_refuses_without_peers_and_without_the_development_line() -> None:
    with pytest.raises(ConfigurationError, match="peers"):
        check_may_serve(parse_settings({}))
    check_may_serve(parse_settings({"serve": {"development": True}}))
    check_may_serve(parse_settings({"peers": [{"name": "x", "ae_title": "XRAY"}], "receiver": {"host": "0.0.0.0"}}))


def test_development_set_up_may_only_listen_on_loopback() -> None:
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1"):
        check_may_serve(parse_settings({"serve": {"development": True}, "receiver": {"host": "0.0.0.0"}}))


@pytest.mark.parametrize(
    ("destination_class", "intended_use", "refused"),
    [
        ("test", "demonstration", False),
        ("research", "demonstration", True),
        ("clinical", "demonstration", True),
        ("research", "research", False),
        ("clinical", "research", True),
        ("clinical", "clinical", False),
    ],
)
def test_destination_above_the_intended_use_is_named(destination_class: str, intended_use: str, refused: bool) -> None:
    settings = parse_settings({"destinations": [{**PACS, "class": destination_class}]})
    assert destinations_above(settings, intended_use) == (("pacs",) if refused else ())


def test_route_to_an_unknown_destination_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'nowhere'"):
        parse_settings({"routes": [{"name": "a", "destinations": ["nowhere"]}]})


def test_peer_with_an_unknown_route_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'nowhere'"):
        parse_settings({"peers": [{"name": "room1", "ae_title": "XRAY1", "routes": ["nowhere"]}]})


def test_with_tls_every_peer_names_its_certificates_and_without_it_none() -> None:
    peer = {"name": "room1", "ae_title": "XRAY1"}
    with pytest.raises(ConfigurationError, match=r"peers\.room1\.certificates is empty"):
        check_may_serve(parse_settings({"tls": {"required": True}, "peers": [peer]}))
    with pytest.raises(ConfigurationError, match=r"tls\.required = true"):
        check_may_serve(parse_settings({"peers": [{**peer, "certificates": ["cn:XRAY1"]}]}))
    check_may_serve(parse_settings({"tls": {"required": True}, "peers": [{**peer, "certificates": ["cn:XRAY1"]}]}))


def test_two_routes_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        parse_settings({"routes": [{"name": "a"}, {"name": "a"}]})


def test_ae_title_longer_than_sixteen_characters_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ae_title"):
        parse_settings({"receiver": {"ae_title": "A" * 17}})


def test_unknown_time_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigurationError, match="Asia/Shanghai"):
        parse_settings({"results": {"timezone": "Shanghai"}})


def test_what_shapes_a_result_is_hashed_and_nothing_else() -> None:
    base = parse_settings({})
    assert parse_settings({"destinations": [{**PACS, "class": "test"}], "receiver": {"port": 1}}).shaping_hash == base.shaping_hash
    assert parse_settings({"results": {"late_after_hours": 1}}).shaping_hash == base.shaping_hash
    assert parse_settings({"results": {"sr_class": "enhanced"}}).shaping_hash != base.shaping_hash
    assert parse_settings({"eligibility": {"min_age_years": 40}}).shaping_hash != base.shaping_hash


def test_database_password_is_never_shown() -> None:
    url = "postgresql+psycopg://gateway:geheim@db/strnet"
    assert without_password(url) == "postgresql+psycopg://gateway:***@db/strnet"
    assert "geheim" not in repr(parse_settings({"database": {"url": url}}))


def test_database_url_may_come_from_a_secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, config = tmp_path / "url", tmp_path / "config.toml"
    secret.write_text("postgresql+psycopg://a:b@c/d\n")
    config.write_text("[serve]\ndevelopment = true\n")
    monkeypatch.setenv("STRNET_GATEWAY_DATABASE_URL_FILE", str(secret))
    assert load_settings(config).database.url == "postgresql+psycopg://a:b@c/d"


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    settings = load_settings(config)
    assert settings.spool.folder == tmp_path / "var/spool"
    assert settings.database.url == f"sqlite:///{tmp_path}/var/strnet-gateway.db"


@pytest.mark.parametrize("content", [b"[serve\n", b"\xff\xfe"])
def test_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(content)
    with pytest.raises(ConfigurationError, match="TOML"):
        load_settings(config)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_settings({}).receiver.port = 1  # type: ignore[misc]


def test_check_names_unusable_certificates_and_those_that_end_soon(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("gateway", valid_hours=24 * 3)
    config = tmp_path / "config.toml"
    config.write_text(
        f'tls = {{ required = true, certificate = "{ours.certificate}", key = "{ours.key}", authorities = "{authority.file}" }}\n'
        'peers = [{ name = "room1", ae_title = "XRAY1", certificates = ["cn:XRAY1"] }]\n'
    )
    done = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert done.exit_code == 0
    assert "tls.certificate ends in 3 day(s)" in done.stdout
    ours.key.unlink()
    done = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert isinstance(done.exception, ConfigurationError)
    assert "key_unreadable" in str(done.exception)


def test_object_that_may_take_longer_than_a_lease_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"delivery\.message_seconds"):
        parse_settings({"worker": {"lease_seconds": 60}})
    parse_settings({"worker": {"lease_seconds": 60}, "delivery": {"message_seconds": 59}})


def written(folder: Path, text: str) -> Path:
    config = folder / "config.toml"
    config.write_text(text)
    return config


def test_list_written_in_both_of_toml_s_ways_is_told_in_words(tmp_path: Path) -> None:
    config = written(tmp_path, 'peers = [{ name = "a", ae_title = "A" }]\n[[peers]]\nname = "b"\nae_title = "B"\n')
    with pytest.raises(ConfigurationError, match=r"on one line, name = \[...\], or in tables, \[\[name\]\]"):
        load_settings(config)


def test_what_two_keys_say_together_is_told_without_the_library_s_words() -> None:
    with pytest.raises(ConfigurationError, match=r"\[routes\.r\.destinations names 'pacz'") as raised:
        parse_settings({"routes": [{"name": "r", "destinations": ["pacz"]}]})
    assert raised.value.keys == ("config",)


@pytest.mark.parametrize("url", ["postgres://u:geheim@h/x", "mysql://u:geheim@h/x", "geheim"])
def test_check_refuses_a_database_url_that_serve_would_refuse(tmp_path: Path, url: str) -> None:
    config = written(tmp_path, f'serve = {{ development = true }}\ndatabase = {{ url = "{url}" }}\n')
    done = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert isinstance(done.exception, ConfigurationError)
    assert "postgresql+psycopg://" in str(done.exception)
    assert "geheim" not in str(done.exception)


def test_check_names_the_driver_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "gateway.store.postgresql", raising=False)
    config = written(tmp_path, 'serve = { development = true }\ndatabase = { url = "postgresql+psycopg://u:p@h/x" }\n')
    done = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert isinstance(done.exception, ConfigurationError)
    assert "[postgres]" in str(done.exception)


def test_check_writes_nothing(tmp_path: Path) -> None:
    config = written(tmp_path, "serve = { development = true }\n")
    assert CliRunner().invoke(app, ["config", "check", "--config", str(config)]).exit_code == 0
    assert list(tmp_path.iterdir()) == [config]


def test_check_notes_what_would_keep_serve_from_starting_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    config = written(
        tmp_path, 'model = { bundle = "bundle" }\nspool = { folder = "/proc/spool" }\npeers = [{ name = "a", ae_title = "A" }]\n'
    )
    done = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert done.exit_code == 0
    assert "serve will refuse to start: What is acknowledged might not outlive" in done.stdout
    assert "serve will refuse to start: The model bundle cannot be used" in done.stdout


def test_database_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"database\.url: the folder .*file/var cannot be made"):
        Database(f"sqlite:///{tmp_path}/file/var/x.db")


def test_serve_refuses_what_is_no_database_url_without_quoting_it(tmp_path: Path) -> None:
    config = written(tmp_path, 'serve = { development = true }\ndatabase = { url = "geheim" }\n')
    done = CliRunner().invoke(app, ["serve", "--config", str(config)])
    assert isinstance(done.exception, ConfigurationError)
    assert "geheim" not in str(done.exception)
