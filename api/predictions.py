"""Which cluster records would be in: decoded as the contract says, assigned as Spark assigns."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from api.bulk import NO_IDENTITY
from api.model_schemas import Prediction
from api.nearness import nearness
from api.record_problems import InvalidRecordError, NotJsonError, TooManyRecordsError
from resources.cluster_model import ClusterModel, Feature
from resources.contract import BadRecordError, Contract, Record

MOST_RECORDS = 10_000
_LONGEST_DETAIL = 300


def decoded(contract: Contract, body: bytes) -> tuple[list[Record], bool]:
    """The records of a request: a JSON object is one, an array several.

    Returns:
        The records, and whether it was an array.

    Raises:
        NotJsonError: the body is no JSON.
        TooManyRecordsError: there are more than :data:`MOST_RECORDS`.
        InvalidRecordError: one breaks the contract.
    """
    many = body.lstrip()[:1] == b"["
    try:
        body.decode()
        raws = msgspec.json.decode(body, type=list[Raw]) if many else [msgspec.json.decode(body, type=Raw)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJsonError(f"The body is no JSON: {error}.") from None
    if len(raws) > MOST_RECORDS:
        raise TooManyRecordsError(f"{len(raws)} records are too many: send at most {MOST_RECORDS} at once.")
    return [_decoded(contract, raw, index) for index, raw in enumerate(raws)], many


def _decoded(contract: Contract, raw: Raw, index: int) -> Record:
    try:
        return contract.decode_partly(bytes(raw))
    except BadRecordError as error:
        raise InvalidRecordError(str(error)[:_LONGEST_DETAIL], index, error.field, error.reason) from None


def predictions(
    contract: Contract,
    model: ClusterModel,
    names: Mapping[str, Any],
    identities: Mapping[int, Mapping[str, Any]],
    records: list[Record],
) -> list[Prediction]:
    """Each record's cluster.

    Args:
        names: ``model`` and ``model_version``, as every prediction carries them.
        identities: ``cluster_id`` and ``cluster_name`` by cluster.
    """
    values = [dict(zip(contract.fields, record.values, strict=True)) for record in records]
    return [
        Prediction(
            unique_id=record.id or None,
            **names,
            **near._asdict(),
            **identities.get(near.cluster, NO_IDENTITY),
            imputed=[feature.name for feature in model.features if _is_imputed(feature, value)],
            unknown=[feature.name for feature in model.features if _is_unknown(feature, value)],
        )
        for record, value, near in zip(records, values, nearness(model, values), strict=True)
    ]


def _is_imputed(feature: Feature, record: Mapping[str, Any]) -> bool:
    return feature.kind == "number" and record.get(feature.name) is None


def _is_unknown(feature: Feature, record: Mapping[str, Any]) -> bool:
    return feature.kind == "category" and record.get(feature.name) not in feature.labels
