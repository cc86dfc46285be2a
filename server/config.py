"""The whole configuration: one frozen tree, read once from a TOML file, `PARLEY_*` variables and flags.

Every problem is found before any is told. docs/configuration.md is made from the sections.
"""

import ipaddress
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_type_hints

from policy import PolicyError
from server.options import Text, convert, nearest, shown
from server.sections import (
    ArchiveSection,
    BroadcastSection,
    ClusterSection,
    DataSection,
    IceSection,
    LimitsSection,
    LogSection,
    MediaSection,
    RecorderSection,
    RoomsSection,
    ServerSection,
    WebSection,
)
from signaling import ALGORITHMS, ApiKey, KeyRefused

ENV_PREFIX: Final = "PARLEY_"
CONFIG_VARIABLE: Final = "PARLEY_CONFIG"
MAX_FILE_BYTES: Final = 1 << 20


class ConfigError(Exception):
    """The configuration cannot be used; `problems` lists every reason, each naming its key."""

    code = "invalid_config"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the operator decides."""

    server: ServerSection = field(default_factory=ServerSection)
    media: MediaSection = field(default_factory=MediaSection)
    web: WebSection = field(default_factory=WebSection)
    ice: IceSection = field(default_factory=IceSection)
    rooms: RoomsSection = field(default_factory=RoomsSection)
    data: DataSection = field(default_factory=DataSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    recorder: RecorderSection = field(default_factory=RecorderSection)
    archive: ArchiveSection = field(default_factory=ArchiveSection)
    broadcast: BroadcastSection = field(default_factory=BroadcastSection)
    cluster: ClusterSection = field(default_factory=ClusterSection)
    log: LogSection = field(default_factory=LogSection)
    keys: tuple[ApiKey, ...] = ()
    """API keys: `[[keys]]` tables with `id`, `secret` or `secret_file`, `alg`."""

    @property
    def has_certificate(self) -> bool:
        """Whether HTTP speaks TLS itself."""
        return self.server.tls_cert is not None or self.server.tls == "self-signed"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach HTTP."""
        return is_loopback(self.server.host)


_KEY_FIELDS: Final = frozenset({"id", "secret", "secret_file", "alg"})


def is_loopback(host: str) -> bool:
    """Whether a bind address is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Config:
    """Read file, environment and flags (`overrides`, keyed `section.option`), the later over the earlier.

    Raises:
        ConfigError: with every problem.
    """
    problems: list[str] = []
    raw = _file(path, problems)
    chosen: dict[str, object] = {}
    _take_file(raw, chosen, problems)
    _take_environment(environment, chosen, problems)
    chosen.update({key: value for key, value in (overrides or {}).items() if value is not None})
    keys = _keys(raw.get("keys", []), environment.get("PARLEY_KEYS"), path, problems)
    sections = {}
    for section in sections_of():
        kind = section_type(section)
        values = {
            item.name: _value(f"{section.name}.{item.name}", item, kind, chosen, problems)
            for item in fields(kind)
        }
        sections[section.name] = values
    if problems:
        raise ConfigError(problems)
    config = Config(
        **{name: section_type_by_name(name)(**values) for name, values in sections.items()}, keys=keys
    )
    problems.extend(check(config))
    if problems:
        raise ConfigError(problems)
    return config


def check(config: Config) -> list[str]:
    """What does not fit together; empty when all does."""
    problems = []
    server = config.server
    if (server.tls_cert is None) is not (server.tls_key is None):
        problems.append("server.tls_cert and server.tls_key come together: give both, or neither")
    if not config.is_loopback and not config.keys and not server.generate_key:
        problems.append(
            f"keys: a server that others can reach ({server.host}) needs an API key: add one under [[keys]],"
            " set server.generate_key, or bind to 127.0.0.1"
        )
    if not config.is_loopback and not config.has_certificate and not server.behind_proxy:
        problems.append(
            f"server.tls_cert: {server.host} without TLS gives browsers no camera: set tls_cert and tls_key,"
            ' or tls = "self-signed", or name the proxies in behind_proxy'
        )
    if config.media.announce and len(config.media.announce) != len(config.media.bind):
        problems.append("media.announce has one address for each of media.bind, in the same order")
    if config.broadcast.width % 2 or config.broadcast.height % 2:
        problems.append("broadcast.width and broadcast.height are even")
    problems.extend(_archive_problems(config.archive))
    try:
        config.rooms.settings()
    except (PolicyError, ValueError) as error:
        problems.append(f"rooms: {error}")
    return problems


def _archive_problems(archive: ArchiveSection) -> list[str]:
    problems = []
    if archive.bucket and bool(archive.access_key_id) is not bool(archive.secret_access_key):
        problems.append(
            "archive.access_key_id and archive.secret_access_key come together: give both, or neither"
        )
    if archive.endpoint.startswith("http://") and not archive.allow_http:
        problems.append("archive.endpoint is not encrypted: use https://, or set archive.allow_http")
    if archive.ca_file is not None and not archive.ca_file.is_file():
        problems.append(f"archive.ca_file: {archive.ca_file} cannot be read")
    return problems


def sections_of() -> list["Field[Any]"]:
    """The sections in order."""
    return [item for item in fields(Config) if item.name != "keys"]


def section_type(section: "Field[Any]") -> type:
    """The dataclass of a section."""
    return section_type_by_name(section.name)


def section_type_by_name(name: str) -> type:
    """The dataclass of a section, by its name."""
    kind = get_type_hints(Config)[name]
    if not is_dataclass(kind) or not isinstance(kind, type):
        raise TypeError(name)
    return kind


def _file(path: Path | None, problems: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
        return {}
    return parse(text, str(path), problems)


def parse(text: bytes, name: str, problems: list[str]) -> dict[str, Any]:
    """The tables of a TOML file; problems are added to the list, whatever the bytes are."""
    if len(text) > MAX_FILE_BYTES:
        problems.append(f"{name}: longer than 1 MiB")
        return {}
    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        problems.append(f"{name}: not TOML: {str(error)[:200]}")
        return {}


def _known() -> list[str]:
    return [
        f"{section.name}.{item.name}" for section in sections_of() for item in fields(section_type(section))
    ]


def _take_file(raw: Mapping[str, Any], chosen: dict[str, object], problems: list[str]) -> None:
    known = _known()
    names = [section.name for section in sections_of()]
    for section, values in raw.items():
        if section == "keys":
            continue
        if section not in names:
            problems.append(f"{shown(section)}: unknown section{nearest(section, [*names, 'keys'])}")
            continue
        if not isinstance(values, dict):
            problems.append(f"{section}: is a section: write [{section}]")
            continue
        for name, value in values.items():
            key = f"{section}.{name}"
            if key in known:
                chosen[key] = value
            else:
                problems.append(f"{shown(key)}: unknown option{nearest(key, known)}")


def variable(key: str) -> str:
    """The environment variable of an option."""
    return ENV_PREFIX + key.replace(".", "_").upper()


def _take_environment(environment: Mapping[str, str], chosen: dict[str, object], problems: list[str]) -> None:
    known = {variable(key): key for key in _known()}
    for name, value in environment.items():
        if not name.startswith(ENV_PREFIX) or name in {CONFIG_VARIABLE, "PARLEY_KEYS"}:
            continue
        if name in known:
            chosen[known[name]] = Text(value)
        else:
            problems.append(f"{shown(name)}: unknown variable{nearest(name, list(known))}")


def _value(
    key: str, item: "Field[Any]", kind: type, chosen: Mapping[str, object], problems: list[str]
) -> object:
    if key not in chosen:
        return item.default if item.default is not MISSING else None
    hint = get_type_hints(kind)[item.name]
    try:
        value = convert(chosen[key], hint)
    except (ValueError, TypeError) as error:
        problems.append(f"{key}: {error}")
        return item.default
    low, high = item.metadata["low"], item.metadata["high"]
    if low is not None and isinstance(value, (int, float)) and not low <= value <= high:
        problems.append(f"{key}: {value} is not between {low} and {high}")
    complaint = item.metadata["check"](value) if item.metadata["check"] is not None else None
    if complaint is not None:
        problems.append(f"{key}: {complaint}")
    return value


def _keys(
    raw: object, variable_text: str | None, path: Path | None, problems: list[str]
) -> tuple[ApiKey, ...]:
    entries: list[dict[str, object]] = []
    if isinstance(raw, list) and all(isinstance(entry, dict) for entry in raw):
        entries.extend(raw)
    else:
        problems.append("keys: write each as a [[keys]] table with id and secret")
    for part in (variable_text or "").split(","):
        if part.strip():
            key_id, _, secret = part.strip().partition(":")
            entries.append({"id": key_id, "secret": secret})
    keys: list[ApiKey] = []
    for number, entry in enumerate(entries, 1):
        key = _key(f"keys[{number}]", entry, path, problems)
        if key is not None and key.id in {other.id for other in keys}:
            problems.append(f"keys[{number}]: the id {key.id!r} is taken by an earlier one")
        elif key is not None:
            keys.append(key)
    return tuple(keys)


def _key(name: str, entry: Mapping[str, object], path: Path | None, problems: list[str]) -> ApiKey | None:
    problems.extend(
        f"{name}.{shown(unknown)}: unknown option{nearest(unknown, sorted(_KEY_FIELDS))}"
        for unknown in entry.keys() - _KEY_FIELDS
    )
    key_id, secret, alg = entry.get("id"), entry.get("secret"), entry.get("alg", "HS256")
    file = entry.get("secret_file")
    if isinstance(file, str) and secret is None:
        try:
            secret = ((path.parent if path is not None else Path()) / file).read_text().strip()
        except (OSError, ValueError) as error:
            problems.append(f"{name}.secret_file: cannot be read: {type(error).__name__}")
            return None
    if not isinstance(key_id, str) or not isinstance(secret, str) or not isinstance(alg, str):
        problems.append(f"{name}: needs id, secret (or secret_file) and, unless HS256, alg: all strings")
        return None
    if alg not in ALGORITHMS:
        problems.append(f"{name}.alg: {shown(alg)!r} is unknown{nearest(alg, sorted(ALGORITHMS))}")
        return None
    try:
        return ApiKey(key_id, secret, alg)
    except KeyRefused as error:
        problems.append(f"{name}: {error.reason}")
        return None
