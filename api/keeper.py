"""What the API does between requests: it keeps up with the lake."""

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from api.answers import Answers
from resources.errors import LakeError

_SECONDS = 0.5
_LOG = logging.getLogger("silt.api")


class Keeper:
    """A thread that brings what answers are made from up to date, so that requests need not wait for it."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._end = threading.Event()
        self._failed = ""

    @asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Run while the application does."""
        thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        thread.start()
        yield
        self._end.set()

    def _run(self) -> None:
        while True:
            self._keep_up()
            if self._end.wait(_SECONDS):
                return

    def _keep_up(self) -> None:
        """Try; a failure is logged once, requests meet it themselves."""
        try:
            self._answers.keep_up()
            self._failed = ""
        except LakeError:  # not there yet
            pass
        except Exception as error:
            if str(error) != self._failed:
                _LOG.warning("The API cannot keep up with the lake; it tries again: %s", error)
            self._failed = str(error)
