"""Display matrices: how a stored picture has to be turned so that it stands upright.

A matrix is nine 16.16 numbers (a, b, u, c, d, v, x, y, w); a stored pixel (p, q), q counted downwards, is shown at
(a p + c q + x, b p + d q + y). Phones write multiples of 90 degrees, mirrored for some front cameras.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from av.sidedata.sidedata import Type as SideDataType

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame

Matrix = tuple[int, ...]

_ONE = 1 << 16
_W_ONE = 1 << 30
_TOLERANCE = 0.01
"""Editing programs write 65535 or 65537 for 65536."""


def frame_matrix(frame: VideoFrame) -> Matrix | None:
    """The display matrix that comes with a decoded frame, or None."""
    try:
        data = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    except ValueError:  # PyAV 18 knows no name for some side data (JPEG with EXIF): only the angle can be had
        return rotation_matrix(frame.rotation) if frame.rotation else None
    return struct.unpack("<9i", bytes(data)[:36]) if data is not None else None


def rotation_matrix(degrees: int) -> Matrix:
    """The matrix that turns a picture counterclockwise by a multiple of 90 degrees."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees % 360]
    return (cos * _ONE, -sin * _ONE, 0, sin * _ONE, cos * _ONE, 0, 0, 0, _W_ONE)


def is_identity(matrix: Matrix | None) -> bool:
    """True where a player shows the picture as it is stored."""
    return matrix is None or _turn(matrix) == (False, False, False)


def is_right_angled(matrix: Matrix) -> bool:
    """True for the eight matrices that only turn by multiples of 90 degrees and mirror."""
    return _turn(matrix) is not None


def swaps_sides(matrix: Matrix | None) -> bool:
    """True where width and height of the upright picture are the stored picture's height and width."""
    turn = _turn(matrix) if matrix is not None else None
    return turn is not None and turn[0]


def upright(pictures: np.ndarray, matrix: Matrix | None) -> np.ndarray:
    """Stored pictures [..., H, W, C] as a player shows them: a view. Matrices other than the eight change nothing."""
    swap, flip_rows, flip_columns = (_turn(matrix) if matrix is not None else None) or (False, False, False)
    if swap:
        pictures = pictures.swapaxes(-3, -2)
    return _flipped(pictures, flip_rows, flip_columns)


def as_stored(pictures: np.ndarray, matrix: Matrix | None) -> np.ndarray:
    """The exact inverse of `upright`: upright pictures [..., H, W, C] as they have to be stored, a view."""
    swap, flip_rows, flip_columns = (_turn(matrix) if matrix is not None else None) or (False, False, False)
    pictures = _flipped(pictures, flip_rows, flip_columns)
    return pictures.swapaxes(-3, -2) if swap else pictures


def _flipped(pictures: np.ndarray, rows: bool, columns: bool) -> np.ndarray:
    keep: Any = slice(None)
    back: Any = slice(None, None, -1)
    return pictures[..., back if rows else keep, back if columns else keep, :]


def _turn(matrix: Matrix) -> tuple[bool, bool, bool] | None:
    """(swap rows and columns, then flip rows, flip columns), or None for any other matrix."""
    a, b, _, c, d = (value / _ONE for value in matrix[:5])
    if _is_unit(a) and _is_unit(d) and _is_zero(b) and _is_zero(c):
        return False, d < 0, a < 0
    if _is_unit(b) and _is_unit(c) and _is_zero(a) and _is_zero(d):
        return True, b < 0, c < 0
    return None


def _is_unit(value: float) -> bool:
    return abs(abs(value) - 1) < _TOLERANCE


def _is_zero(value: float) -> bool:
    return abs(value) < _TOLERANCE
