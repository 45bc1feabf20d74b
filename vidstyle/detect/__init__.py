"""Finding bad frames: each is compared with its neighbours, carried to it along the source's motion.

analysis    the small pictures of colour and texture that are compared
temporal    neighbours, carried along the motion; where they can be trusted; what they agree on
mapping     what the source leads to expect of the style
features    how far a frame's look is from that of its neighbours
statistics  medians
cells       means over a grid
repeats     parts of older pictures
displaced   two frames in each other's place
blocks      a codec's blocks
ends        faults that last until the end of a shot
decision    cues, evidence, reasons, and a score by rule
fusion      the score by a trained network
detector    the stage itself
"""

from vidstyle.detect.decision import REASONS
from vidstyle.detect.detector import CONTEXT_FRAMES, LOOK_AHEAD, detect
from vidstyle.detect.fusion import TrainedFusion

__all__ = ["CONTEXT_FRAMES", "LOOK_AHEAD", "REASONS", "TrainedFusion", "detect"]
