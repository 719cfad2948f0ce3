"""Reads `agent.conf` and `agent.conf.d/*.conf` into one frozen Settings; called once, by `cli`.

Each setting is declared once, below, with its type and default; an unknown section, an unknown name or a value that doesn't fit refuses
the start and names file, line and reason. Every one of them stands, commented, in `etc/agent.conf` (a guard test holds the two together).
It deliberately reads nothing else: accounts, address rules and certificates have rooms of their own.
"""

import dataclasses
import os
import re
from pathlib import Path
from typing import NamedTuple

from agent.errors import Invalid


class Address(NamedTuple):
    """Where to listen or to connect: `host` an IP address or a name, `port` 0 to 65535 (0: the system chooses)."""

    host: str
    port: int


# ---- types: each turns the text of the file into the value, or raises ValueError with the reason --------------------------------------

def address(text):
    """Given `127.0.0.1:50050` or `[::1]:50050`, return an Address."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z]+)?)\]|([^\s:\[\]]+)):([0-9]{1,5})", text)
    if not match or int(match[3]) > 65535:
        raise ValueError("must be HOST:PORT, an IPv6 address in brackets")
    return Address(match[1] or match[2], int(match[3]))


def addresses(text):
    """Given several addresses separated by blanks, return a tuple of Address; empty text gives none."""
    return tuple(address(word) for word in text.split())


def optional_address(text):
    return address(text) if text else None


def path(text):
    """A path; the reader of the file resolves a relative one against the file's folder."""
    if not text:
        raise ValueError("must be a path")
    return Path(text)


def optional_path(text):
    return Path(text) if text else None


def paths(text):
    """Given several absolute paths separated by blanks, return a tuple of Path; empty text gives none."""
    found = tuple(Path(word) for word in text.split())
    if not all(each.is_absolute() for each in found):
        raise ValueError("must be absolute paths")
    return found


def word(text):
    if not re.fullmatch(r"[^\s\[\];#]{1,79}", text):
        raise ValueError("must be one word")
    return text


def words(text):
    return tuple(text.split())


def yes_or_no(text):
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


def whole(low, high):
    """Return a type: a whole number from low to high."""
    def number(text):
        if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)
    return number


def one_of(*choices):
    """Return a type: one of the words given."""
    def choice(text):
        if text not in choices:
            raise ValueError("must be one of: " + ", ".join(choices))
        return text
    return choice


def setting(cast, default):
    """Declare one setting: its type, and its default as it would be typed in the file."""
    return dataclasses.field(default=cast(default), metadata={"cast": cast})


# ---- the settings ---------------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Listen:
    http: tuple = setting(addresses, "127.0.0.1:50050 [::1]:50050")
    https: tuple = setting(addresses, "0.0.0.0:50051 [::]:50051")


@dataclasses.dataclass(frozen=True)
class Asterisk:
    config_dir: Path = setting(path, "/etc/asterisk")
    other_dirs: tuple = setting(paths, "")
    spool_dir: Path = setting(path, "/var/spool/asterisk")
    log_dir: Path = setting(path, "/var/log/asterisk")
    ami: Address | None = setting(optional_address, "127.0.0.1:5038")
    ami_user: str = setting(word, "pbx-agent")
    ami_secret_file: Path = setting(path, "/etc/pbx-agent/ami.secret")


@dataclasses.dataclass(frozen=True)
class Access:
    users: Path = setting(path, "/etc/apache2/users.ht")
    htdigest: Path | None = setting(optional_path, "")
    acl: Path = setting(path, "/etc/pbx-agent/acl.conf")
    loopback: str = setting(one_of("trusted", "root", "password"), "trusted")
    users_rights: tuple = setting(words, "#")


@dataclasses.dataclass(frozen=True)
class Tls:
    certificate: Path = setting(path, "/var/lib/pbx-agent/tls/cert.pem")
    key: Path = setting(path, "/var/lib/pbx-agent/tls/key.pem")


@dataclasses.dataclass(frozen=True)
class State:
    dir: Path = setting(path, "/var/lib/pbx-agent")


@dataclasses.dataclass(frozen=True)
class Xivo:
    missing_accept: str = setting(one_of("refuse", "accept"), "refuse")
    voicemail_context: str = setting(word, "default")
    delete_spool: bool = setting(yes_or_no, "no")


@dataclasses.dataclass(frozen=True)
class Limits:
    threads: int = setting(whole(1, 64), "8")
    connections: int = setting(whole(8, 10000), "200")
    connections_per_address: int = setting(whole(1, 10000), "16")
    body_bytes: int = setting(whole(1024, 16777216), "262144")
    header_bytes: int = setting(whole(1024, 262144), "16384")
    handshake_s: int = setting(whole(1, 60), "5")
    idle_s: int = setting(whole(1, 600), "15")
    lock_s: int = setting(whole(1, 600), "20")
    ami_s: int = setting(whole(1, 60), "5")
    history_records: int = setting(whole(10, 100000), "200")
    history_bytes: int = setting(whole(1048576, 10737418240), "67108864")


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings; each attribute is a section of agent.conf."""

    listen: Listen = Listen()
    asterisk: Asterisk = Asterisk()
    access: Access = Access()
    tls: Tls = Tls()
    state: State = State()
    xivo: Xivo = Xivo()
    limits: Limits = Limits()


# ---- reading --------------------------------------------------------------------------------------------------------------------------

def load(file):
    """Given the path of agent.conf, return Settings from it and from `agent.conf.d/*.conf` beside it, later files over earlier ones.

    Raises: Invalid naming file, line and reason. Relative paths resolve against the file that holds them.
    """
    file = Path(file).absolute()
    values = {}
    for each in [file, *sorted(file.with_name(file.name + ".d").glob("*.conf"))]:
        for section, name, text, where in _assignments(each):
            values.setdefault(section, {})[name] = _value(section, name, text, where, each.parent)
    return Settings(**{section: type(getattr(Settings(), section))(**named) for section, named in values.items()})


def _assignments(file):
    """Yield (section, name, text, where) for each `name = value` of an INI file; `#` and `;` at a line's start are comments."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"can't be read: {error}", where=str(file)) from error
    section = None
    seen = set()
    for number, line in enumerate(lines, 1):
        line, where = line.strip(), f"{file}:{number}"
        if not line or line[0] in "#;":
            continue
        header = re.fullmatch(r"\[([a-z][a-z_]*)\]", line)
        name, equals, text = (part.strip() for part in line.partition("="))
        if header:
            section = header[1]
        elif not equals or section is None:
            raise Invalid("is neither [section] nor name = value" if section else "stands before the first [section]", where=where)
        elif (section, name) in seen:
            raise Invalid(f"{name} is set twice in this file", where=where)
        else:
            seen.add((section, name))
            yield section, name, text, where


def _value(section, name, text, where, folder):
    fields = {each.name: each for each in dataclasses.fields(getattr(Settings(), section, None) or _unknown(section, where))}
    if name not in fields:
        raise Invalid(f"[{section}] has no setting {name}; it has {', '.join(fields)}", where=where)
    try:
        value = fields[name].metadata["cast"](text)
    except ValueError as error:
        raise Invalid(f"[{section}] {name} {error}", where=where) from error
    return Path(os.path.normpath(folder / value)) if isinstance(value, Path) else value


def _unknown(section, where):
    known = ", ".join(each.name for each in dataclasses.fields(Settings))
    raise Invalid(f"there is no section [{section}]; there are {known}", where=where)
