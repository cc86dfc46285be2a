"""The configuration: every problem at once, the nearest name, file under variables under flags."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config import Config, ConfigError, check, load, parse
from server.reference import reference

SECRET = "s" * 40


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "parley.toml"
    path.write_text(text)
    return path


def problems(
    path: Path | None = None, environment: dict[str, str] | None = None, **flags: object
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        load(path, environment or {}, {key.replace("__", "."): value for key, value in flags.items()})
    return refused.value.problems


def test_nothing_configured_is_a_server_for_this_machine() -> None:
    config = load(None, {})
    assert (config.server.host, config.server.port, config.media.port) == ("127.0.0.1", 8080, 7882)
    assert config.is_loopback
    assert config == Config()


def test_a_flag_beats_a_variable_beats_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[server]\nport = 1\nhost = '127.0.0.2'\n[media]\nport = 5")
    config = load(path, {"PARLEY_SERVER_PORT": "2", "PARLEY_MEDIA_PORT": "6"}, {"server.port": 3})
    assert (config.server.port, config.server.host, config.media.port) == (3, "127.0.0.2", 6)


def test_variables_carry_every_type() -> None:
    config = load(
        None,
        {
            "PARLEY_WEB_ORIGINS": "https://a.example, https://b.example",
            "PARLEY_BROADCAST_ALLOW_PRIVATE": "true",
            "PARLEY_ROOMS_GRACE_S": "2.5",
            "PARLEY_SERVER_DATA_DIR": "/srv/parley",
            "PARLEY_ROOMS_MODE": "explicit",
            "PARLEY_KEYS": f"one:{SECRET},two:{SECRET}x",
            "PATH": "/bin",
        },
    )
    assert config.web.origins == ("https://a.example", "https://b.example")
    assert config.broadcast.allow_private
    assert config.rooms.grace_s == 2.5
    assert config.server.data_dir == Path("/srv/parley")
    assert config.rooms.mode == "explicit"
    assert [key.id for key in config.keys] == ["one", "two"]


def test_every_problem_is_told_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [sever]
        port = 1
        [server]
        hots = "x"
        port = "eighty"
        [media]
        workers = 5000
        bind = ["not an address"]
        [rooms]
        mode = "explizit"
        [log]
        level = 7
        [[keys]]
        id = "a"
        secret = "short"
        [[keys]]
        id = "b"
        secert = "x"
        """,
    )
    found = "\n".join(problems(path, {"PARLEY_SERVER_PROT": "1", "PARLEY_ROOMS_GRACE_S": "soon"}))
    for part in (
        "sever: unknown section; did you mean server?",
        "server.hots: unknown option; did you mean server.host?",
        "server.port: is a whole number",
        "media.workers: 5000 is not between 0 and 64",
        "media.bind: 'not an address' is not an IP address",
        "did you mean explicit?",
        "log.level:",
        "PARLEY_SERVER_PROT: unknown variable; did you mean PARLEY_SERVER_PORT?",
        "rooms.grace_s:",
        "keys[1]: the secret is shorter than 32 bytes",
        "keys[2].secert: unknown option; did you mean secret?",
    ):
        assert part in found, part


def test_a_public_server_without_a_key_is_refused() -> None:
    found = problems(server__host="0.0.0.0", server__tls="self-signed")
    assert len(found) == 1
    assert found[0].startswith("keys: a server that others can reach")


def test_a_public_server_without_tls_is_refused_unless_a_proxy_is_named() -> None:
    keys = {"PARLEY_KEYS": f"one:{SECRET}"}
    assert problems(None, keys, server__host="0.0.0.0")[0].startswith("server.tls_cert:")
    assert load(None, keys, {"server.host": "0.0.0.0", "server.behind_proxy": ("10.0.0.0/8",)})
    assert load(None, keys, {"server.host": "0.0.0.0", "server.tls": "self-signed"})


def test_a_certificate_needs_its_key() -> None:
    assert "server.tls_cert and server.tls_key come together" in problems(server__tls_cert=Path("x"))[0]


def test_a_bucket_needs_both_halves_of_a_key_and_an_encrypted_way() -> None:
    environment = {
        "PARLEY_ARCHIVE_BUCKET": "recordings",
        "PARLEY_ARCHIVE_ACCESS_KEY_ID": "id",
        "PARLEY_ARCHIVE_ENDPOINT": "http://s3.example",
        "PARLEY_ARCHIVE_CA_FILE": "/nowhere.pem",
    }
    with pytest.raises(ConfigError) as caught:
        load(None, environment)
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == [
        "archive.access_key_id",
        "archive.endpoint",
        "archive.ca_file:",
    ]


def test_two_keys_of_one_id_are_refused() -> None:
    assert "is taken" in problems(None, {"PARLEY_KEYS": f"one:{SECRET},one:{SECRET}"})[0]


def test_a_secret_file_is_read_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "app.secret").write_text(SECRET + "\n")
    config = load(written(tmp_path, '[[keys]]\nid = "app"\nsecret_file = "app.secret"'), {})
    assert config.keys[0].secret == SECRET
    assert SECRET not in repr(config)


def test_a_missing_file_is_one_problem(tmp_path: Path) -> None:
    assert "No such file" in problems(tmp_path / "none.toml")[0]


@pytest.mark.parametrize("text", ["[", "a = ", "[server]\nport = 1\nport = 2", "\0", "x" * (1 << 20) + "y"])
def test_what_is_not_toml_is_one_problem(tmp_path: Path, text: str) -> None:
    assert len(problems(written(tmp_path, text))) == 1


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("server", "port = true"),
        ("server", "port = 1.5"),
        ("server", "data_dir = ''"),
        ("server", "behind_proxy = ['10.0.0.0/99']"),
        ("web", "origins = ['*']"),
        ("web", "origins = ['https://a.example/path']"),
        ("web", "name = 'a\\u0000b'"),
        ("web", "hosts = 'a'"),
        ("rooms", "video_codecs = ['h265']"),
        ("rooms", "max_participants = 0"),
        ("broadcast", "allow_private = 'maybe'"),
        ("media", "announce = ['192.0.2.1']"),
        ("archive", "bucket = 's3://recordings'"),
        ("archive", "prefix = '/parley/'"),
        ("archive", "endpoint = 'https://user:secret@s3.example'"),
        ("archive", "piece_mib = 0"),
    ],
)
def test_a_value_that_does_not_fit_names_its_key(tmp_path: Path, section: str, line: str) -> None:
    text = f"[{section}]\n{line}".replace("'", '"')
    found = problems(written(tmp_path, text))
    assert len(found) == 1
    assert found[0].startswith((f"{section}.{line.split(' ', maxsplit=1)[0]}", section))


def test_the_reference_is_what_docs_say() -> None:
    docs = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert docs.read_text() == reference()


def test_the_example_of_the_reference_is_toml() -> None:
    example = reference().split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(example)["keys"][0]["id"] == "app"


def test_the_defaults_fit_together() -> None:
    assert check(Config()) == []


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_file_is_read_or_is_a_problem(data: bytes) -> None:
    found: list[str] = []
    parse(data, "file", found)
    assert len(found) <= 1


@given(
    st.dictionaries(st.text(max_size=12).map(lambda text: f"PARLEY_{text}"), st.text(max_size=12), max_size=4)
)
def test_any_environment_is_read_or_refused_with_printable_problems(environment: dict[str, str]) -> None:
    try:
        load(None, environment)
    except ConfigError as error:
        assert all(line.isprintable() for line in error.problems)
