"""Display matrices: every one of the eight turns, against the definition, and back."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import MATRICES, make_clip, read_stamp, stamped, turned_back

from vidstyle.media.orientation import (
    as_stored,
    frame_matrix,
    is_identity,
    is_right_angled,
    rotation_matrix,
    swaps_sides,
    upright,
)

PICTURE = stamped(37, (96, 64))


@pytest.mark.parametrize("name", MATRICES)
def test_upright_follows_the_definition_of_the_matrix(name: str) -> None:
    stored = turned_back(PICTURE, MATRICES[name])
    assert np.array_equal(upright(stored, MATRICES[name]), PICTURE)


@pytest.mark.parametrize("name", MATRICES)
def test_as_stored_is_the_inverse_also_for_many_pictures(name: str) -> None:
    matrix = MATRICES[name]
    stored = np.arange(2 * 3 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5, 3)
    turned = upright(stored, matrix)
    assert turned.shape == ((2, 5, 3, 3) if swaps_sides(matrix) else stored.shape)
    assert np.array_equal(as_stored(turned, matrix), stored)


def test_turning_copies_nothing() -> None:
    for matrix in MATRICES.values():
        assert np.shares_memory(upright(PICTURE, matrix), PICTURE)
        assert np.shares_memory(as_stored(PICTURE, matrix), PICTURE)


def test_numbers_that_are_almost_right_count() -> None:
    clockwise = (1, 65537, 0, -65535, 0, 0, 96 << 16, 0, 1 << 30)
    assert np.array_equal(upright(PICTURE, clockwise), upright(PICTURE, MATRICES["clockwise"]))


@pytest.mark.parametrize(
    "matrix",
    [
        (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30),  # 45 degrees
        (131072, 0, 0, 0, 131072, 0, 0, 0, 1 << 30),  # twice as large
        (0,) * 9,
    ],
)
def test_other_matrices_change_nothing(matrix: tuple[int, ...]) -> None:
    assert not is_right_angled(matrix)
    assert not is_identity(matrix)
    assert not swaps_sides(matrix)
    assert np.array_equal(upright(PICTURE, matrix), PICTURE)
    assert np.array_equal(as_stored(PICTURE, matrix), PICTURE)


def test_no_matrix_means_upright() -> None:
    assert is_identity(None)
    assert is_identity(MATRICES["identity"])
    assert not is_identity(MATRICES["mirrored"])
    assert np.array_equal(upright(PICTURE, None), PICTURE)


@pytest.mark.parametrize(
    ("degrees", "name"), [(0, "identity"), (90, "counterclockwise"), (-180, "half turn"), (-90, "clockwise")]
)
def test_a_rotation_is_counterclockwise(degrees: int, name: str) -> None:
    assert rotation_matrix(degrees) == MATRICES[name]


@pytest.mark.parametrize("name", MATRICES)
def test_the_matrix_of_a_decoded_frame(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "turned.mp4", frames=2, matrix=MATRICES[name])
    with av.open(str(clip.path)) as container:
        frame = next(container.decode(video=0))
        matrix = frame_matrix(frame)
        shown = upright(frame.to_ndarray(format="rgb24"), matrix)
    assert (matrix or MATRICES["identity"]) == MATRICES[name]
    assert shown.shape == (96, 160, 3)
    assert read_stamp(shown) == 0


def test_side_data_without_a_name_falls_back_to_the_angle() -> None:
    class Frame:
        rotation = -90

        @property
        def side_data(self) -> dict[object, object]:
            raise ValueError("31 is not a valid Type")  # what PyAV 18 does with a JPEG that has EXIF

    assert frame_matrix(Frame()) == MATRICES["clockwise"]  # type: ignore[arg-type]
    Frame.rotation = 0
    assert frame_matrix(Frame()) is None  # type: ignore[arg-type]
