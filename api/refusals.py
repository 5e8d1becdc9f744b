"""Why the gate turns requests away: who asks, how often, for whom, and how."""

from http import HTTPStatus

from api.problems import ProblemError

NO_KEY = "This needs a key: send it as `Authorization: Bearer …` or as `X-API-Key`."


class NoKeyError(ProblemError):
    """A request without a key."""

    status = HTTPStatus.UNAUTHORIZED
    kind = "unauthorized"
    title = "Unauthorized"
    challenge = 'Bearer realm="silt"'

    def __init__(self, detail: str = NO_KEY) -> None:
        super().__init__(detail)

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": self.challenge}


class WrongKeyError(NoKeyError):
    """A request with a key that is nobody's."""

    challenge = 'Bearer realm="silt", error="invalid_token"'

    def __init__(self) -> None:
        super().__init__("The key is wrong, or was revoked.")


class NoScopeError(ProblemError):
    """A key that is not good for this route."""

    status = HTTPStatus.FORBIDDEN
    kind = "insufficient-scope"
    title = "Insufficient Scope"

    def __init__(self, scope: str) -> None:
        super().__init__(f"The key has not the scope {scope!r}.")
        self.scope = scope

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": f'Bearer realm="silt", error="insufficient_scope", scope="{self.scope}"'}


class TooManyRequestsError(ProblemError):
    """A key, or an address, that asks more often than it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    kind = "too-many-requests"
    title = "Too Many Requests"
    detail = "More requests than a minute allows. Ask again in {} s."

    def __init__(self, wait: int) -> None:
        super().__init__(self.detail.format(wait))
        self.retry_after = wait


class TooManyGuessesError(TooManyRequestsError):
    """An address that has sent too many wrong keys."""

    kind = "too-many-guesses"
    title = "Too Many Wrong Keys"
    detail = "Too many wrong keys came from this address. Try again in {} s."


class AnswerTimeoutError(ProblemError):
    """A request that did not arrive, or was not answered, in time."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    kind = "timeout"
    title = "Timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"There was no answer within {seconds:g} s. Try again, or ask for less.")


class UnknownHostError(ProblemError):
    """A request for a host that is not this API's."""

    status = HTTPStatus.MISDIRECTED_REQUEST
    kind = "unknown-host"
    title = "Unknown Host"

    def __init__(self) -> None:
        super().__init__("The API does not go by the name in the Host header.")


class UrlTooLongError(ProblemError):
    """A URL that is too long to look at."""

    status = HTTPStatus.REQUEST_URI_TOO_LONG
    kind = "uri-too-long"
    title = "URI Too Long"
