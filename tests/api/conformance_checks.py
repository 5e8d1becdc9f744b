"""What schemathesis checks beside its own checks."""

from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

BEYOND_SCHEMA = {"window", "from", "to", "cursor", "uniqueId", "cluster"}
"""Parameters whose values a schema cannot say, or which do not all go together."""


@schemathesis.check
def refuses_only_what_no_schema_says(ctx: Any, response: Any, case: Any) -> None:
    """A request that keeps to the schema is refused for a window, a cursor or a combination alone."""
    if (
        response.status_code != 400
        or case.meta is None
        or case.meta.generation.mode != GenerationMode.POSITIVE
    ):
        return
    wrong = response.json().get("parameter")
    assert wrong in BEYOND_SCHEMA, f"{wrong} keeps to the schema, and is refused: {response.text}"


@schemathesis.check
def problems_are_whole(ctx: Any, response: Any, case: Any) -> None:
    """Every error is a problem with a stable type, also where no operation documents it."""
    if response.status_code < 400:
        return
    assert response.headers["content-type"][0] == "application/problem+json"
    assert response.json()["type"].startswith("urn:silt:problem:")
