"""The API's keys: a file of names, scopes and hashes. A key itself is shown once and kept nowhere."""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
import yaml
from msgspec import Meta

from resources.errors import SettingError

Scope = Literal["read", "predict"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_KEY = re.compile(r"silt_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_N, _R, _P, _BYTES = 2**14, 8, 1, 32  # 16 MiB and some 50 ms a guess
_BASE64 = r"[A-Za-z0-9+/]{20,90}={0,2}"


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What the file holds of a key.

    Attributes:
        name: whose it is; no two keys share one.
        id: the part of the key that may be known.
        scopes: what it may do.
        created: when, UTC.
        hash: ``scrypt$n$r$p$salt$hash`` of the secret part.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    id: Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
    scopes: Annotated[list[Scope], Meta(min_length=1)]
    created: datetime
    hash: Annotated[str, Meta(pattern=rf"^scrypt\${_N}\${_R}\${_P}\${_BASE64}\${_BASE64}$")]

    @cached_property
    def _salt_and_hash(self) -> tuple[bytes, bytes]:
        salt, hashed = self.hash.split("$")[4:]
        return b64decode(salt), b64decode(hashed)

    def fits(self, secret: str) -> bool:
        """Whether a secret is this key's; takes some 50 ms and the same time whatever it is."""
        salt, hashed = self._salt_and_hash
        return hmac.compare_digest(_scrypt(secret, salt), hashed)


def parse_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key as clients send it; None if it has not the form of one."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def make_key(name: str, scopes: list[Scope]) -> tuple[ApiKey, str]:
    """A new key: what the file holds of it, and the key."""
    key_id, secret, salt = secrets.token_hex(4), secrets.token_urlsafe(32), secrets.token_bytes(16)
    stored = "$".join(map(_base64, (salt, _scrypt(secret, salt))))
    hashed = f"scrypt${_N}${_R}${_P}${stored}"
    created = datetime.now(UTC).replace(microsecond=0)
    return ApiKey(name, key_id, scopes, created, hashed), f"silt_{key_id}_{secret}"


def read_keys(path: Path) -> list[ApiKey]:
    """The keys of a file, YAML or JSON.

    Raises:
        SettingError: there is no such file, or it is no list of keys.
    """
    try:
        keys = msgspec.convert(yaml.safe_load(path.read_bytes()) or [], list[ApiKey])
    except OSError as error:
        raise SettingError(
            f"SILT_API_KEYS_FILE={str(path)!r} cannot be read ({error.strerror}): `silt keys new` makes one."
        ) from None
    except (yaml.YAMLError, msgspec.ValidationError, ValueError) as error:
        what = " ".join(str(error).split())
        raise SettingError(f"SILT_API_KEYS_FILE={str(path)!r} is no list of keys: {what}.") from None
    for part in ("name", "id"):
        if len({getattr(key, part) for key in keys}) < len(keys):
            raise SettingError(f"SILT_API_KEYS_FILE={str(path)!r} has two keys of one {part}: delete one.")
    return keys


def add_key(path: Path, name: str, scopes: list[Scope]) -> str:
    """Make a key and write what is to be known of it into the file.

    Returns:
        The key.

    Raises:
        SettingError: the file cannot be read or written, or has a key of that name.
    """
    with _changing(path) as change:
        keys = read_keys(path) if path.exists() else []
        if any(key.name == name for key in keys):
            raise SettingError(
                f"There is a key named {name!r} already: revoke it first, or take another name."
            )
        new, text = make_key(name, scopes)
        change([*keys, new])
    return text


def revoke_key(path: Path, name: str) -> None:
    """Delete a key from the file.

    Raises:
        SettingError: the file cannot be read or written, or has no key of that name.
    """
    with _changing(path) as change:
        keys = read_keys(path)
        if all(key.name != name for key in keys):
            known = ", ".join(key.name for key in keys) or "none"
            raise SettingError(f"There is no key named {name!r}. There are: {known}.")
        change([key for key in keys if key.name != name])


@contextmanager
def _changing(path: Path) -> Iterator[Callable[[list[ApiKey]], None]]:
    """While one process is within it, no other one is; what it gives replaces the file at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f"{path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lambda keys: _write(path, keys)
    except OSError as error:
        raise SettingError(
            f"SILT_API_KEYS_FILE={str(path)!r} cannot be written ({error.strerror}): set it to another place."
        ) from None


def _write(path: Path, keys: list[ApiKey]) -> None:
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            yaml.safe_dump(msgspec.to_builtins(keys), file, sort_keys=False, allow_unicode=True)
            file.flush()
            os.fsync(number)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _scrypt(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=_BYTES)


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
