from __future__ import annotations

import cv2
import numpy as np

from vidstyle.training.teachers.tools import (
    Array,
    brush_direction,
    kuwahara,
    ragged,
    relief,
    skin,
    smear,
    vivid,
    worth,
)

_MARK = np.array((0.060, 0.047, 0.029), np.float32)
"""What a brush mark adds to R, G, B: thick paint is lighter and a little warmer."""
_VARNISH = np.array(((0.80, 0.17, 0.02), (0.08, 0.78, 0.01), (-0.09, -0.03, 0.79)), np.float32)
_DEPTH = np.array((-0.030, 0.008, 0.040), np.float32)
"""Old varnish over all: lights are cream in place of white, shadows a cold green, no colour is quite pure."""


def oil(picture: Array, guides: Array) -> Array:
    """Paint in oil: flattened patches dragged along the forms, bristle marks, relief lit from the top left.

    picture  float32 [H, W, 3], RGB in [0, 1]
    guides   float32 [H, W, 1], the stroke field of the picture (`vidstyle.guides`)
    returns  float32 [H, W, 3], RGB in [0, 1]
    """
    field = np.atleast_3d(guides)[..., 0]
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    tangent = brush_direction(luma)
    broad = smear(kuwahara(picture, radius=5), tangent, steps=5)
    # A second pass with a small brush where the broad one lost too much of the motif: eyes, hands, letters
    # (Hertzmann, 1998). Marks are fainter there, as a careful painter's are.
    careful = smear(kuwahara(picture, radius=2), tangent, steps=1)
    # A face is painted with the small brush as a whole.
    care = np.maximum(worth(careful - broad, 2.0, 0.004, 0.03), skin(picture))
    patches = broad + (careful - broad) * care[..., None]
    # And a few strokes as fine as the motif itself where even the small brush blurred an eye or a letter.
    touch = worth(picture - careful, 1.5, 0.008, 0.05)
    patches = patches + 0.75 * touch[..., None] * (picture - careful)
    bold = 1 - 0.6 * care
    patches = ragged(patches, tangent, 1.2 * bold * field)
    patches = vivid(patches, saturation=1.4, contrast=0.35)
    # Each patch is set off against its neighbours.
    patches = patches + 0.8 * (patches - cv2.GaussianBlur(patches, (0, 0), 1.6))
    tone = cv2.cvtColor(patches, cv2.COLOR_RGB2GRAY)
    # Paint shows its surface in the light; black stays black.
    light = (0.45 + 0.45 * tone) * np.minimum(1, 6 * tone) * bold
    painted = patches + (light * field)[..., None] * _MARK + (0.055 * light * relief(field))[..., None]
    painted = np.clip(painted, 0, 1) ** 0.9 @ _VARNISH.T + _DEPTH
    return np.clip(painted, 0, 1).astype(np.float32)
