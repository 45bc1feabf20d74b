"""The stage that mends bad frames, and touches no other: from the stylizer once more, or from good neighbours.

`stage` says which frames wait for which, what is tried and what is taken; `donors` carries good neighbours along the
source's motion and tells how far to trust them; `response` what a style makes of that which they do not show;
`candidates` makes pictures of all that and of the frame itself, with the error to be expected of each; `pyramid` holds
the scales on which it is measured.
"""

from vidstyle.correct.stage import WINDOW_FRAMES, correct

__all__ = ["WINDOW_FRAMES", "correct"]
