"""The stage that mends bad frames, and touches no other: from the stylizer once more, or from good neighbours.

`stage` says which frames wait for which, what is tried and what is taken; `donors` carries good neighbours along the
source's motion and tells how far to trust them; `candidates` makes pictures of them and of the frame itself, with the
error to be expected of each; `pyramid` holds the scales on which all of that is measured.
"""

from vidstyle.correct.stage import WINDOW_FRAMES, correct

__all__ = ["WINDOW_FRAMES", "correct"]
