"""docs/configuration.md, made from the sections.

PURE: no I/O.
"""

from dataclasses import fields
from typing import Final

from server.config import section_type, sections_of, variable
from signaling import ALGORITHMS

_HEAD: Final = """\
# Configuration

<!-- Made by `parley config reference`; a test compares. -->

One TOML file (`--config`, or `PARLEY_CONFIG`), then `PARLEY_*` variables, then flags; the later wins. Lists
in variables are separated by commas. An unknown name is refused, with the nearest one that exists; every
problem is told at once. `parley config check` looks without serving, `parley config show` prints what is in
force. All of it is read once, at the start; a running server reads only certificate files and, on SIGHUP, API
keys again ([deployment](deployment.md#certificates)).
"""

_KEYS: Final = """\
## [[keys]]

API keys, one table each. Tokens name theirs by `kid`; its algorithm is pinned. A server that only this
machine can reach makes a key of its own when none is given (`dev-key.json` in the data folder); any other
does not start, unless `server.generate_key` is set.

| option | default | what |
| --- | --- | --- |
| `id` | required | Name of the key, 1 to 64 characters |
| `secret` | required, or `secret_file` | For HS256 at least 32 bytes; a PEM public key for others than HS* |
| `secret_file` | none | A file with the secret, relative to the configuration file |
| `alg` | `HS256` | One of {algorithms} |

`PARLEY_KEYS=id:secret,id:secret` adds HS256 keys. Keys are taken away, changed and added while the server
runs ([deployment](deployment.md#api-keys)).

```toml
[server]
host = "0.0.0.0"
tls_cert = "/etc/parley/fullchain.pem"
tls_key = "/etc/parley/privkey.pem"

[[keys]]
id = "app"
secret_file = "app.secret"
```
"""


def reference() -> str:
    """The whole document."""
    parts = [_HEAD]
    for section in sections_of():
        kind = section_type(section)
        lines = [f"## [{section.name}]", "", (kind.__doc__ or "").strip(), ""]
        lines += ["| option | default | variable | what |", "| --- | --- | --- | --- |"]
        for item in fields(kind):
            doc, low, high = (item.metadata[name] for name in ("doc", "low", "high"))
            bounds = f" ({_number(low)} to {_number(high)})" if low is not None else ""
            name = variable(f"{section.name}.{item.name}")
            lines.append(f"| `{item.name}` | {_default(item.default)} | `{name}` | {doc}{bounds} |")
        parts.append("\n".join(lines) + "\n")
    parts.append(_KEYS.format(algorithms=", ".join(f"`{name}`" for name in sorted(ALGORITHMS))))
    return "\n".join(parts)


def _number(value: float) -> str:
    return f"{int(value)}" if value == int(value) else f"{value}"


def _default(value: object) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{part}`" for part in value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"
