"""Finding bad frames: each is compared with its neighbours, carried to it along the source's motion.

analysis    the small pictures of colour and texture that are compared
temporal    neighbours, carried along the motion; where they can be trusted; what they agree on
statistics  medians
decision    cues, scores, reasons
detector    the stage itself
"""

from vidstyle.detect.decision import REASONS
from vidstyle.detect.detector import CONTEXT_FRAMES, LOOK_AHEAD, detect

__all__ = ["CONTEXT_FRAMES", "LOOK_AHEAD", "REASONS", "detect"]
