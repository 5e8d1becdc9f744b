"""The keys as the running API knows them: read anew when their file changes, and guarded against guesses."""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from api.problems import BusyError
from api.rates import Rates
from api.refusals import TooManyGuessesError, WrongKeyError
from resources.api_keys import ApiKey, make_key, parse_key, read_keys
from resources.errors import SettingError

GUESSES = 20
"""Wrong keys a minute that an address may send."""
_LOOK_SECONDS = 1.0
_REMEMBERED = 1_024
_WAITING = 32
_LOG = logging.getLogger("silt.api")

FileState = tuple[int, int, int] | None


class KeyRing:
    """Who a key belongs to. For one event loop; hashes are computed in one thread, beside it."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            SettingError: there is none, or it is no list of keys.
        """
        self._path = path
        self._state = _state(path)
        self._looked = time.monotonic()
        self._keys = {key.id: key for key in read_keys(path)}
        self._nobody = make_key("nobody", ["read"])[0]
        self._known: OrderedDict[bytes, ApiKey] = OrderedDict()
        self._guesses = Rates(GUESSES)
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="keys")
        self._waiting = 0

    async def holder(self, text: str, address: str) -> ApiKey:
        """Whose key it is. One that was right before costs no hash.

        Raises:
            WrongKeyError: nobody's.
            TooManyGuessesError: the address has sent too many wrong ones of late.
            BusyError: too many keys are being looked at.
        """
        self._look()
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if known := self._known.get(digest):
            return known
        standing = self._guesses.take(address)
        if not standing.allowed:
            raise TooManyGuessesError(standing.wait)
        key = await self._find(text)
        self._guesses.give_back(address)
        self._known[digest] = key
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return key

    async def _find(self, text: str) -> ApiKey:
        """The key, by its hash; an id that nobody has takes as long as a wrong secret."""
        parts = parse_key(text)
        if parts is None:
            raise WrongKeyError
        if self._waiting >= _WAITING:
            raise BusyError("Too many keys are being looked at. Try again.")
        key_id, secret = parts
        key = self._keys.get(key_id, self._nobody)
        self._waiting += 1
        try:
            fits = await asyncio.get_running_loop().run_in_executor(self._hashing, key.fits, secret)
        finally:
            self._waiting -= 1
        if not fits or self._keys.get(key_id) != key:  # revoked meanwhile
            raise WrongKeyError
        return key

    def _look(self) -> None:
        """Read the file again if it has changed, once a second at most."""
        if (now := time.monotonic()) < self._looked + _LOOK_SECONDS:
            return
        self._looked = now
        if (state := _state(self._path)) == self._state:
            return
        self._state = state
        try:
            self._keys = {key.id: key for key in read_keys(self._path)} if state else {}
        except SettingError as error:
            _LOG.error("The keys stay as they were: %s", error)
            return
        self._known.clear()
        _LOG.warning("The keys were read again: there are %d", len(self._keys))


def _state(path: Path) -> FileState:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
