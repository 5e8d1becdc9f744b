"""What is wrong with records that are sent to be predicted."""

from http import HTTPStatus
from typing import Any

from api.problems import ProblemError


class NotJsonError(ProblemError):
    """A body that is no JSON."""

    status = HTTPStatus.BAD_REQUEST
    kind = "invalid-json"
    title = "Invalid JSON"


class NotJsonTypeError(ProblemError):
    """A body that is sent as something else than JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    kind = "unsupported-media-type"
    title = "Unsupported Media Type"


class TooManyRecordsError(ProblemError):
    """More records than are taken at once."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    kind = "too-many-records"
    title = "Too Many Records"


class CannotAssignError(ProblemError):
    """A version that does not fit the present contract."""

    status = HTTPStatus.CONFLICT
    kind = "cannot-assign"
    title = "Cannot Assign"


class InvalidRecordError(ProblemError):
    """A record that breaks the contract: as a message it would be a dead letter, for this reason."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    kind = "invalid-record"
    title = "Invalid Record"

    def __init__(self, detail: str, index: int, field: str | None, reason: str) -> None:
        super().__init__(f"Record {index}: {detail}.")
        self._more: dict[str, Any] = {"index": index, "reason": reason} | ({"field": field} if field else {})

    @property
    def more(self) -> dict[str, Any]:
        return self._more
