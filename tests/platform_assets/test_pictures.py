"""The pictures in the metadata: small, transparent, and of what they are given."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from platform_assets.pictures import choice_picture, clusters_picture, history_picture

POINTS = np.random.default_rng(3).normal(size=(3_000, 4)) + np.repeat([[0.0], [5.0], [9.0]], 1_000, axis=0)
CLUSTERS = np.repeat(np.arange(3), 1_000)
NAMES = ["c1", "c2", "c7"]


def drawn(markdown: str) -> tuple[str, Image.Image, int]:
    """Title, picture, and its bytes."""
    found = re.fullmatch(r"!\[(.*)\]\(data:image/png;base64,(.*)\)", markdown)
    assert found
    raw = base64.b64decode(found[2], validate=True)
    return found[1], Image.open(io.BytesIO(raw)).convert("RGBA"), len(raw)


def colours(picture: Image.Image) -> int:
    """How many clearly coloured pixels a picture has: neither ink nor ground."""
    red, green, blue, alpha = np.moveaxis(np.asarray(picture).astype(int), 2, 0)
    spread = np.max([red, green, blue], axis=0) - np.min([red, green, blue], axis=0)
    return int(((spread > 60) & (alpha > 100)).sum())


ALL = {
    "clusters": clusters_picture(POINTS, CLUSTERS, NAMES, {"c1": POINTS[:1_000].mean(axis=0) - 3}),
    "choice": choice_picture({2: 0.4, 3: 0.8, 4: 0.5}, 3),
    "history": history_picture([f"05{m:02}Z" for m in range(24)], {name: [9] * 24 for name in NAMES}),
}


@pytest.mark.parametrize("name", ALL)
def test_a_picture_is_small_and_has_no_ground_of_its_own(name: str) -> None:
    _, picture, size = drawn(ALL[name])
    assert size < 16_000
    assert picture.width <= 520
    corners = [picture.getpixel((x, y)) for x in (0, picture.width - 1) for y in (0, picture.height - 1)]
    assert {corner[3] for corner in corners if isinstance(corner, tuple)} == {0}
    assert colours(picture) > 50


def test_the_clusters_picture_shows_where_a_cluster_came_from() -> None:
    _, still, _ = drawn(clusters_picture(POINTS, CLUSTERS, NAMES, {}))
    _, moved, _ = drawn(ALL["clusters"])
    assert not np.array_equal(np.asarray(still), np.asarray(moved))


def test_one_feature_is_drawn_on_a_line() -> None:
    _, picture, _ = drawn(clusters_picture(POINTS[:, :1], CLUSTERS, NAMES, {"c2": np.array([4.0])}))
    assert colours(picture) > 50


def test_titles_say_what_is_seen() -> None:
    assert "centres in the window before" in drawn(ALL["clusters"])[0]
    assert drawn(ALL["choice"])[0].endswith("chosen: 3")
    assert "24 windows" in drawn(ALL["history"])[0]
