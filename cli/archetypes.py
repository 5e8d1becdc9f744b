"""The customers of the sample stream: two sorts, so two clusters, and all that their records say."""

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_TIME_FORMAT = "%d/%m/%Y %H:%M"
NUMBERS = ("Item_price", "connected_handling_time", "CSAT Score")
OFTEN_MISSING = {
    "Customer Remarks": 0.4,
    "Order_id": 0.1,
    "order_date_time": 0.2,
    "Customer_City": 0.2,
    "Product_category": 0.08,
    "Item_price": 0.08,
    "connected_handling_time": 0.05,
}
_AGENTS = (
    "Ines Valtorp", "Okoro Lindqvist", "Mira Castellane", "Tobiah Renn", "Saffi Dewhurst",
    "Jorun Abellard", "Petra Nakashiro", "Wim Oduya", "Lucasta Breck", "Anselm Quill",
)  # fmt: skip
_SUPERVISORS = ("Hedda Marlowe", "Ravi Stenholm", "Colette Umbra", "Dario Finchley")
_MANAGERS = ("Noor Halvorsen", "Ezra Whitcombe")
_CITIES = ("Port Alder", "Kestrelton", "Low Marsh", "Vantry", "Saint Orrin", "Hollowmere", "Brackwater")
_TENURES = ("under a month", "1-3 months", "4-12 months", "over a year")
_SHIFTS = ("early", "day", "late", "night")


@dataclass(frozen=True)
class Archetype:
    """A sort of customer: one cluster of the stream.

    ``price``, ``seconds`` are mean and standard deviation; ``scores`` the satisfaction scores it gives.
    """

    name: str
    share: float
    channels: tuple[str, ...]
    topics: tuple[tuple[str, str], ...]
    products: tuple[str, ...]
    price: tuple[float, float]
    seconds: tuple[float, float]
    scores: tuple[int, ...]
    remarks: tuple[str, ...]


ARCHETYPES = (
    Archetype(
        name="happy",
        share=0.65,
        channels=("Chat",),
        topics=(("Delivery", "Where is my parcel"), ("Account", "Change of address")),
        products=("Books", "Stationery"),
        price=(24.0, 6.0),
        seconds=(180.0, 40.0),
        scores=(5, 5, 5, 4),
        remarks=("Sorted out in no time", "Friendly and quick", "Could not have been easier", "Thank you!"),
    ),
    Archetype(
        name="unhappy",
        share=0.35,
        channels=("Phone",),
        topics=(("Refund", "Money not back yet"), ("Repair", "Broke again after repair")),
        products=("Kitchen machines", "Televisions"),
        price=(640.0, 90.0),
        seconds=(900.0, 120.0),
        scores=(1, 1, 1, 2),
        remarks=("Third call about the same thing", "Nobody rang back", "Still waiting", "Not good enough"),
    ),
)


def record(archetype: Archetype, reported: datetime, source: random.Random) -> dict[str, Any]:
    """A whole record of such a customer, every field of customer_support.yaml, reported at an instant."""
    choice, gauss = source.choice, source.gauss
    category, topic = choice(archetype.topics)
    ordered = reported - timedelta(days=source.uniform(1, 30))
    answered = reported + timedelta(minutes=source.uniform(1, 45))
    return {
        "Unique id": str(uuid.UUID(int=source.getrandbits(128), version=4)),
        "channel_name": choice(archetype.channels),
        "category": category,
        "Sub-category": topic,
        "Customer Remarks": choice(archetype.remarks),
        "Order_id": f"SO-{source.randrange(10**8):08d}",
        "order_date_time": ordered.strftime(_TIME_FORMAT),
        "Issue_reported at": reported.strftime(_TIME_FORMAT),
        "issue_responded": answered.strftime(_TIME_FORMAT),
        "Survey_response_Date": answered.strftime("%d-%b-%y"),
        "Customer_City": choice(_CITIES),
        "Product_category": choice(archetype.products),
        "Item_price": round(max(gauss(*archetype.price), 1.0), 2),
        "connected_handling_time": round(max(gauss(*archetype.seconds), 10.0)),
        "Agent_name": choice(_AGENTS),
        "Supervisor": choice(_SUPERVISORS),
        "Manager": choice(_MANAGERS),
        "Tenure Bucket": choice(_TENURES),
        "Agent Shift": choice(_SHIFTS),
        "CSAT Score": choice(archetype.scores),
    }
