"""The stage that looks for bad frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vidstyle.detect import decision
from vidstyle.detect.analysis import CHANNELS, COLORS, analyse
from vidstyle.detect.decision import (
    HELD,
    NAMES,
    PALE_DOUBT,
    SUSPICION,
    Calm,
    Finding,
    certainty,
    combine,
    corroborated,
    evidence,
    grid_size,
    measure,
    stands_out,
)
from vidstyle.detect.displaced import LEAST_CHANGE, answer, exchanged
from vidstyle.detect.ends import LEAST_AFTER, LONGEST, changed_end, changed_run
from vidstyle.detect.features import Look, Looks, describe, estrangement
from vidstyle.detect.fusion import AROUND, UNEASY, Circumstances, Fusion
from vidstyle.detect.mapping import Cells, cells, learn, unexpected
from vidstyle.detect.repeats import LAGS, Band, pace, repeated
from vidstyle.detect.statistics import Array, column_median, mean_difference
from vidstyle.detect.temporal import (
    FEW,
    REACH,
    Neighbour,
    Referee,
    Reference,
    Sight,
    displacement,
    gather,
    look,
    sort,
    tolerance,
)
from vidstyle.detect.traits import LEAST_AROUND, TRAITS, Traits, traits
from vidstyle.frames import CheckedFrame, StyledBatch, Verdict
from vidstyle.models.features import FeatureNetwork

LONGEST_RUN = 8
"""Bad frames in a row that are looked for."""
LOOK_AHEAD = LONGEST_RUN - 1 + REACH
"""Frames that are read before one is judged: what may be one run with it, and the neighbours of those to see whether
they are to be trusted."""
AFTER_START = LONGEST + LEAST_AFTER - 1
"""Frames that must be known after the first of a long run."""
HISTORY = 30
"""Frames before one that tell what is usual."""
RECENT = 12
"""Frames over which the source's noise and the style's contrast are measured."""
EARLIEST = 2
"""How many frames too early a picture may come."""
BETWEEN = 0.5
"""The threshold for a frame between two bad ones, over that for others: faults come in runs. In six draws of the
anomaly bench 4 of 10 such frames that were missed are found, and none of 4 good ones is flagged."""
UNDOUBTED = 0.5
"""A frame with so low a score among all its neighbours is good, whatever it would have without the suspect ones: that
need not be found out, and costs as much as the screening. In five draws of the anomaly bench 0.3 would have 572 more
frames looked at (1,501, not 929), and find one more bad one."""
APART = 4.0
"""Score among the neighbours outside of what may be a long run from which a frame that looks like the others in it is
bad: they are few, and less does not count. In four draws of the anomaly bench good frames have 2.2 at most."""
CONTEXT_FRAMES = 2 * HISTORY + 2 * RECENT + REACH
"""So many frames after a start in the middle of a video the scores are those of an undisturbed run."""


Examine = Callable[[Array, Look | None], Finding]
"""Measures a styled picture in the place of a frame, from its analysis planes and its look."""


class Weighed(NamedTuple):
    """What the findings in the place of a frame amount to."""

    score: float
    evidence: Array
    """Of the single cues, in the order of NAMES."""
    network: float = 0.0
    """What the fusion alone says; 0 where it is not asked."""


Weigh = Callable[[Finding], Weighed]


@dataclass(slots=True, eq=False)
class _Frame:
    """One frame on its way through the detector."""

    index: int
    pts: int
    duration: int
    source: Tensor | None
    styled: Tensor | None
    damaged: bool
    shot: int
    invalid: str | None
    sight: Sight
    cells: Cells
    looks: Looks | None
    traits: Traits
    """Of the styled picture."""
    distance: float | None
    """Mean difference of the styled picture to the source; None if it is blank."""
    pace: Array | None
    """See `repeats.pace`; None after a cut."""
    answer: Array | None
    """See `displaced.answer`, since the frame before; None after a cut and where the source hardly changed."""
    source_traits: Traits | None = None
    """Of the source, once they are asked for."""
    band: Band | None = None
    """The part of it that shows an older picture, found at the screening."""
    reference: Reference | None = None
    """Of a few neighbours, from the screening until it is judged, as are `examine` and `finding`."""
    spread: Array | None = None
    """Of its reference, as is `change`: see `Reference.mean_spread`."""
    change: Array | None = None
    few: list[Neighbour] | None = None
    """What that was made of, where it may be asked for again."""
    examine: Examine | None = None
    """For the screening."""
    finding: Finding | None = None
    """Of the screening; as are `cues`."""
    cues: Array | None = None
    screening: float = 0.0
    """Score of the screening."""
    unfounded: bool = False
    """The fusion network was uneasy about it at the screening, but nothing stands out in the evidence."""
    suspect: bool = False
    changed: bool = False
    """At an end of its shot, or in a long run, and painted unlike the others of it; see `ends`."""
    sure: bool = False
    """Bad beyond doubt at the screening."""
    displaced: bool = False
    """It and a neighbour came in each other's place."""
    flagged: bool = False


def detect(
    batches: Iterable[StyledBatch],
    *,
    threshold: float = 1.0,
    features: FeatureNetwork | None = None,
    fusion: Fusion | None = None,
) -> Generator[CheckedFrame, None, None]:
    """Yields every frame once, in order, with its verdict, `LOOK_AHEAD` frames after it was read.

    `batches` must have passed `flow.track_motion` (ValueError otherwise). Frames whose score exceeds `threshold` are
    flagged; scores are given in units of it. They depend neither on how frames are batched nor, `CONTEXT_FRAMES`
    after the first, on where the run began.
    """
    detector = _Detector(threshold, features, fusion)
    for batch in batches:
        if len(batch.source.motion) != len(batch.source):
            raise ValueError("the batches lack their motion: pass them through flow.track_motion first")
        for _ in detector.add(batch):
            yield from detector.advance()
    yield from detector.finish()


class _Detector:
    """Frames are numbered from 0 as they come. Frame n is screened at n + REACH, judged at n + LOOK_AHEAD."""

    def __init__(self, threshold: float, network: FeatureNetwork | None, fusion: Fusion | None) -> None:
        self._network = network
        self._fusion = fusion
        self._threshold = threshold
        self._referee = Referee()
        self._frames: dict[int, _Frame] = {}
        self._last = -1

    def add(self, batch: StyledBatch) -> Iterator[None]:
        """Takes the frames of a batch, one whenever it is asked for the next."""
        pictures = [
            analyse(picture)
            for pair in zip(batch.source.pixels, batch.pictures, strict=True)
            for picture in pair
        ]
        looks = describe([p.thumbnail for p in pictures], self._network) if self._network else []
        for i, motion in enumerate(batch.source.motion):
            source, styled = (picture.planes for picture in pictures[2 * i : 2 * i + 2])
            before = self._sight(self._last)
            self._last += 1
            sight = look(source, styled, motion, before)
            self._frames[self._last] = _Frame(
                index=batch.source.indices[i],
                pts=batch.source.pts[i],
                duration=batch.source.durations[i],
                source=batch.source.pixels[i],
                styled=batch.pictures[i],
                damaged=batch.source.damaged[i],
                shot=motion.shot,
                invalid=batch.invalid[i],
                sight=sight,
                cells=cells(source, styled, grid_size(source)),
                looks=Looks(*looks[2 * i : 2 * i + 2]) if looks else None,
                traits=traits(batch.pictures[i]),
                distance=None if decision.flat(styled) else mean_difference(styled, source),
                pace=None if before is None or sight.cut else pace(before, sight),
                answer=_answer(before, sight),
            )
            if sight.cut:
                self._compare_end(self._last - 1)
            self._compare_beginning(self._last - LOOK_AHEAD)
            self._compare_run(self._last - AFTER_START, self._last)
            yield

    def advance(self) -> Generator[CheckedFrame, None, None]:
        """What becomes possible now that frame `_last` is there, or known not to exist."""
        if self._last - REACH in self._frames:
            self._screen(self._last - REACH)
        if self._last - LOOK_AHEAD in self._frames:
            yield self._judge(self._last - LOOK_AHEAD)
        self._frames.pop(self._last - LOOK_AHEAD - HISTORY - RECENT - 1, None)

    def finish(self) -> Generator[CheckedFrame, None, None]:
        self._compare_end(self._last)
        for _ in range(LOOK_AHEAD):
            self._last += 1
            yield from self.advance()

    def _sight(self, number: int) -> Sight | None:
        frame = self._frames.get(number)
        return frame.sight if frame else None

    def _compare_end(self, last: int) -> None:
        """Suspects those of the last frames of a shot that are painted unlike all before, and runs just before them."""
        for start in range(last - AFTER_START + 1, last):
            self._compare_run(start, last)
        self._suspect_changed(list(reversed(list(self._backwards(last, HISTORY + LONGEST)))))

    def _compare_beginning(self, first: int) -> None:
        """The same of the first frames of a shot, if it lasts until the newest."""
        frame = self._frames.get(first)
        if frame is not None and frame.sight.cut:
            shot = list(self._backwards(self._last, LOOK_AHEAD + 1))
            if shot[-1] is frame:
                self._suspect_changed(shot)

    def _compare_run(self, start: int, last: int) -> None:
        """Suspects a long run from a frame on that is painted unlike what comes before and after it, until `last`."""
        near = list(reversed(list(self._backwards(last, last - start + RECENT + 1))))
        first = last - len(near) + 1
        if start > first:
            changed = changed_run(np.array([frame.sight.state for frame in near]), start - first)
            for frame in near[start - first :][:changed]:
                frame.changed = frame.suspect = True

    def _backwards(self, last: int, count: int) -> Iterator[_Frame]:
        """At most `count` frames of one shot, the last first."""
        for n in range(last, last - count, -1):
            if (frame := self._frames.get(n)) is None:
                return
            yield frame
            if frame.sight.cut:
                return

    @staticmethod
    def _suspect_changed(frames: list[_Frame]) -> None:
        if changed := changed_end(np.array([frame.sight.state for frame in frames])) if frames else 0:
            for frame in frames[-changed:]:
                frame.changed = frame.suspect = True

    def _screen(self, number: int) -> None:
        frame = self._frames[number]
        few = gather(self._sight, number, self._tolerance(number), FEW)
        frame.reference = self._referee.refer(frame.sight, few, len(FEW))
        if frame.reference is not None:
            frame.spread, frame.change = frame.reference.mean_spread, frame.reference.mean_change
        frame.examine = self._examiner(number, frame.reference)
        frame.finding = frame.examine(frame.sight.styled, frame.looks.styled if frame.looks else None)
        frame.cues = frame.finding.cues
        history = self._history(number, number, trusted=False)
        weigh = self._weigher(number, frame.reference, history, screening=True)
        weighed = weigh(frame.finding)
        frame.screening = weighed.score
        frame.unfounded = weighed.network > UNEASY and not stands_out(weighed.evidence)
        sure = decision.certain(
            frame.sight.source,
            frame.sight.styled,
            frame.reference,
            frame.invalid,
            cues=frame.cues,
            history=history,
        )
        source, styled = frame.sight.source, frame.sight.styled
        frame.band = repeated(source, styled, self._older(number), self._paces(number))
        frame.sure = sure is not None or decision.unpainted(source, styled, self._distances(number))
        frame.suspect = frame.screening > SUSPICION or frame.sure or frame.changed or frame.band is not None
        frame.few = few if frame.suspect or frame.screening > UNDOUBTED else None

    def _examiner(
        self, number: int, reference: Reference | None, without: frozenset[int] = frozenset()
    ) -> Examine:
        frame, before, calm = self._frames[number], self._frames.get(number - 1), self._calm(number)
        sight, looks, near = frame.sight, frame.looks, self._kin(number, without)
        kin = [there.looks for there in near if there.looks is not None]
        mapping = cache(partial(learn, [there.cells for there in near]))  # most frames never need it

        def examine(styled: Array, look: Look | None) -> Finding:
            here, previous = frame.cells, before.sight if before else None
            if styled is not sight.styled:  # a repair
                here = cells(sight.source, styled, grid_size(styled))
                if before and before.flagged:  # its picture may be this frame's own, and will be mended
                    previous = None
            return measure(
                styled,
                reference,
                lambda: unexpected(mapping(), here),
                calm,
                standstill=standstill(sight, previous, styled, calm.contrast),
                features=estrangement(looks.source, look, kin) if looks and look else float("nan"),
            )

        return examine

    def _weigher(self, number: int, reference: Reference | None, history: Array, *, screening: bool) -> Weigh:
        known = range(number) if screening else self._frames
        near = (self._frames[n] if (n := number + k) in known and n in self._frames else None for k in AROUND)
        pale = decision.pale(self._frames[number].sight.source)
        here = Circumstances(
            frame=number,
            around=[there.screening if there else 0.0 for there in near],
            before=reference.before if reference else 0,
            after=reference.after if reference else 0,
            asked=reference.asked if reference else REACH,
            history=len(history),
            noise=self._frames[number].sight.residual,
            screening=screening,
            near_end=self._near_end(number),
            kin=len(self._kin(number)),
            unfounded=0.0 if screening else self._unfounded(number),
            light=self._light(number),
        )

        def weigh(finding: Finding) -> Weighed:
            scores = evidence(finding.cues, history, finding.doubt * (PALE_DOUBT if pale else 1))
            if self._fusion is None or finding.maps is None or pale:
                return Weighed(combine(scores), scores)
            says = self._fusion(finding, scores, here)
            score = max(says, combine(scores)) if screening else corroborated(says, scores)
            return Weighed(score, scores, says)

        return weigh

    def _judge(self, number: int) -> CheckedFrame:
        """Without the neighbours, and the history, that are suspect themselves."""
        frame = self._frames[number]
        sight, network = frame.sight, self._network
        near = range(number - REACH, number + REACH + 1)
        suspects = frozenset(n for n in near if n != number and n in self._frames and self._frames[n].suspect)
        if any(n in self._frames and self._frames[n].changed for n in near):
            # The others seemed bad beside them.
            suspects = frozenset(n for n in suspects if self._frames[n].changed or self._frames[n].sure)
        self._compare_with_next(number)
        reference, frame.reference = frame.reference, None
        examine, frame.examine = frame.examine, None
        finding, frame.finding = frame.finding, None
        few, frame.few = frame.few, None
        assert examine is not None and finding is not None
        history = self._history(number, number + REACH, trusted=True)
        everything = self._history(number, number + REACH, trusted=False)

        @cache
        def all_neighbours() -> list[Neighbour]:
            others = [k for k in range(1, REACH + 1) if few is None or k not in FEW]
            return sort([*(few or ()), *gather(self._sight, number, self._tolerance(number), others)])

        def compare(without: frozenset[int]) -> tuple[Reference | None, Examine, Finding]:
            good = [there for there in all_neighbours() if number + there.offset not in without]
            cleaner = self._referee.refer(sight, good)
            again = self._examiner(number, cleaner, without)
            return cleaner, again, again(sight.styled, frame.looks.styled if frame.looks else None)

        def weighing(reference: Reference | None) -> Weigh:
            return self._weigher(number, reference, history, screening=False)

        weigh = weighing(reference)
        score, scores, _ = weigh(finding)
        bad = frame.suspect or frame.displaced
        hidden = False  # no good neighbour shows what it does
        # in the middle of a run a frame may look like most of its neighbours
        within = {number - 1, number + 1} <= suspects
        doubtful = bad or within or reference is None or max(frame.screening, score) > UNDOUBTED
        if suspects and doubtful:
            others = {n: self._frames[n] for n in suspects}
            sure_ones = frozenset(n for n, f in others.items() if f.sure)
            worst = sure_ones or frozenset(n for n, f in others.items() if f.screening > frame.screening)
            cleaner = compare(suspects)
            hidden = cleaner[0] is None and self._goes_on(number)
            doubted = cleaner[0] is None and not hidden and worst != suspects
            if worst and doubted:  # a doubtful reference is better than none
                cleaner = compare(worst)
            if cleaner[0] is not None or reference is None or hidden:
                reference, examine, finding = cleaner
                weigh = weighing(reference)
                score, scores, _ = weigh(finding)
        if doubtful and score <= self._threshold and (between := self._between_suspects(number)):
            # In a long run of one fault frames look like most of their neighbours.
            apart = compare(suspects | between)
            weigh_apart = weighing(apart[0])
            found = weigh_apart(apart[2])
            if apart[0] is not None and found.score > APART:
                reference, examine, finding = apart
                weigh, (score, scores, _) = weigh_apart, found

        animated, distances = self._animated(number), self._distances(number)
        older, paces = self._older(number, unflagged=True), self._paces(number)

        def certain(styled: Array, finding: Finding, invalid: str | None, band: Band | None) -> str | None:
            sure = decision.certain(
                sight.source, styled, reference, invalid, cues=finding.cues, history=everything
            )
            if sure is None and decision.unpainted(sight.source, styled, distances):
                return "unpainted"
            return sure or (None if band is None or animated else "duplicate")

        peculiar = self._peculiar(number)
        share = BETWEEN if self._between_bad(number) else 1.0

        def total(score: float, sure: str | None, odd: Mapping[str, float]) -> float:
            return max(score / share, certainty(sure), *odd.values()) / self._threshold

        def judge(picture: Tensor) -> float:
            analysis = analyse(picture)
            (look,) = describe([analysis.thumbnail], network) if network else (None,)
            finding = examine(analysis.planes, look)
            band = repeated(sight.source, analysis.planes, older, paces)
            sure = certain(analysis.planes, finding, None, band)
            return total(weigh(finding).score, sure, peculiar(traits(picture)))

        sure = certain(sight.styled, finding, frame.invalid, frame.band)
        sure = "displaced" if frame.displaced else sure or ("flicker" if hidden else None)
        odd = peculiar(frame.traits)
        score = total(score, sure, odd)
        flagged = frame.flagged = score > 1
        known = (sure, *(reason for reason, evidence in odd.items() if evidence > 1))
        source, styled = frame.source, frame.styled
        frame.styled = None
        if (left := self._frames.get(number - REACH)) is not None:
            left.source = None
        assert source is not None and styled is not None
        return CheckedFrame(
            index=frame.index,
            pts=frame.pts,
            duration=frame.duration,
            source=source,
            styled=styled,
            damaged=frame.damaged,
            shot=frame.shot,
            verdict=Verdict(
                score=score,
                flagged=flagged,
                reasons=decision.reasons(scores, finding, known) if flagged else (),
                cues={name: float(s) / decision.THRESHOLD for name, s in zip(NAMES, scores, strict=True)},
                region=self._region(frame, finding, (styled.shape[2], styled.shape[1])) if flagged else None,
                reference="none" if reference is None else "both" if reference.both_sides else "one side",
            ),
            judge=judge if flagged else None,
        )

    def _older(self, number: int, *, unflagged: bool = False) -> list[Sight]:
        """What a frame is compared with to see whether it repeats an older one, the last first.

        Of the shot before, too; but not one just before that looks worse: it came too early. `unflagged`: nor what is
        to be mended, too.
        """
        here, older = self._frames[number], []
        for n in range(number, number - LAGS, -1):
            there = self._frames.get(n - 1)
            if there is None:
                break
            early = number - n < EARLIEST and there.screening > max(SUSPICION, here.screening)
            if not early and not (unflagged and there.flagged):
                older.append(there.sight)
        return older

    def _paces(self, number: int) -> list[Array]:
        return [there.pace for there in self._kin(number) if there.pace is not None]

    def _peculiar(self, number: int) -> Callable[[Traits], dict[str, float]]:
        """What traits are evidence of in the place of a frame, by their reasons: 1.0 at the threshold, else 0.

        Beyond those of the good frames around it, and beyond what the source explains. How far beyond tells how sure a
        fault is, hardly how bad: hence the logarithm.
        """
        frame, kin = self._frames[number], [f for f in self._kin(number) if not (f.suspect or f.flagged)]
        mute = len(kin) < LEAST_AROUND or decision.pale(frame.sight.source)
        around = [f.traits for f in kin]
        sources = [(f, f.source) for f in (frame, *kin)]  # they may be gone when a repair is judged

        def of_sources() -> tuple[Traits, list[Traits]]:
            for there, source in sources:
                if there.source_traits is None and source is not None:
                    there.source_traits = traits(source)
            own, *others = (there.source_traits for there, _ in sources if there.source_traits is not None)
            return own, others

        def evidence(found: Traits) -> dict[str, float]:
            result = {}
            for n, trait in enumerate(TRAITS):
                theirs = [there[n] for there in around]
                most = 0.0 if mute else trait.excess(found[n], theirs)
                if most > 1:
                    own, others = of_sources()
                    unexplained = [there - source[n] for there, source in zip(theirs, others, strict=True)]
                    most = min(most, trait.excess(found[n] - own[n], unexplained))
                result[trait.reason] = 1 + math.log(most) if most > 1 else 0.0
            return result

        return evidence

    def _goes_on(self, number: int) -> bool:
        """Whether a frame belongs to the same long change as a flagged frame before it."""
        before = self._frames.get(number - 1)
        return bool(self._frames[number].changed and before and before.changed and before.flagged)

    def _between_bad(self, number: int) -> bool:
        """Whether the frame before is flagged, and that after looks bad."""
        before, after = self._frames.get(number - 1), self._frames.get(number + 1)
        return bool(before and before.flagged and after and (after.sure or after.screening > 1))

    def _distances(self, number: int) -> list[float]:
        """How far the pictures around a frame are from their sources; without blank ones."""
        near = (self._frames.get(n) for n in range(number - HISTORY, number + REACH + 1) if n != number)
        return [f.distance for f in near if f and f.distance is not None]

    def _animated(self, number: int) -> bool:
        """Whether so many frames around one repeat older ones that the style is animated so; see `decision.HELD`."""
        near = [f for n in range(number - HISTORY, number + REACH + 1) if (f := self._frames.get(n))]
        return sum(f.band is not None for f in near) > HELD * len(near)

    def _region(
        self, frame: _Frame, finding: Finding, picture: tuple[int, int]
    ) -> tuple[int, int, int, int] | None:
        """Where in a picture of (width, height) pixels a flagged frame is bad; None if that is most of it."""
        if frame.band is None:
            return decision.region(finding, picture)
        top, bottom = (round(share * picture[1]) for share in frame.band)
        return (0, top, picture[0], bottom - top) if bottom - top <= decision.LOCAL * picture[1] else None

    def _near_end(self, number: int) -> bool:
        """Whether its shot has fewer than two frames before or after a frame."""
        links = (self._frames.get(n) for n in range(number - 1, number + 3))
        return any(frame is None or frame.sight.cut for frame in links)

    def _light(self, number: int) -> float:
        """By how many grey levels per frame the source becomes brighter or darker around a frame, within its shot."""
        before, frame, after = (self._frames.get(n) for n in range(number - 1, number + 2))
        assert frame is not None
        first = before if before and not frame.sight.cut else frame
        last = after if after and not after.sight.cut else frame
        steps = max(1, (first is not frame) + (last is not frame))
        return abs(last.sight.brightness - first.sight.brightness) / steps

    def _unfounded(self, number: int) -> float:
        """About what share of the frames around one the fusion network was uneasy for no reason.

        Without those that are one run with it: that may be a fault of which no single cue speaks, and is no witness of
        its own harmlessness. In three draws of the anomaly bench 2 more bad frames are found, and no good one flagged.
        """
        run = {number}
        for way in (-1, 1):
            for n in range(number + way, number + way * LONGEST_RUN, way):
                if n not in self._frames or not self._frames[n].unfounded:
                    break
                run.add(n)
        around = (n for n in range(number - HISTORY, number + REACH + 1) if n not in run)
        near = [self._frames[n].unfounded for n in around if n in self._frames]
        return sum(near) / max(1, len(near))

    def _between_suspects(self, number: int) -> frozenset[int]:
        """The other frames between the nearest suspects before and after a frame, if those may be one run.

        Of a suspect: those between it and each of them.
        """
        near = range(1, LONGEST_RUN)
        before, after = (
            next(
                (n for k in near if (n := number + way * k) in self._frames and self._frames[n].suspect), None
            )
            for way in (-1, 1)
        )
        ends = (before, number, after) if self._frames[number].suspect else (before, after)
        return frozenset(
            n
            for first, last in pairwise(ends)
            if first is not None and last is not None and last - first < LONGEST_RUN
            for n in range(first + 1, last)
            if n != number
        )

    def _compare_with_next(self, number: int) -> None:
        """Whether a frame and the next came in each other's place."""
        first, second = self._frames[number], self._frames.get(number + 1)
        if second is None or second.answer is None or first.band is not None or second.band is not None:
            return  # what shows an older picture does not show the other's
        before = None if first.sight.cut else self._frames.get(number - 1)
        after = self._frames.get(number + 2)
        usual = [
            there.answer
            for there in self._kin(number)
            if there.answer is not None and there not in (first, second, after)
        ]
        if exchanged(
            first.sight,
            second.sight,
            before.sight if before else None,
            after.sight if after and not after.sight.cut else None,
            found=second.answer,
            usual=usual,
        ):
            first.displaced = second.displaced = True

    def _recent(self, number: int) -> list[_Frame]:
        return [
            f for n in range(number - RECENT, number + 1) if (f := self._frames.get(n)) and not f.sight.still
        ]

    def _tolerance(self, number: int) -> float:
        return tolerance([f.sight.residual for f in self._recent(number) if not f.sight.cut])

    def _calm(self, number: int) -> Calm:
        recent = self._recent(number)

        def median(rows: list[Array | None], default: float) -> Array:
            known = [row for row in rows if row is not None]
            return column_median(known or [np.full(len(CHANNELS), default, np.float32)])

        return Calm(
            contrast=np.clip(median([f.sight.contrast for f in recent], 1), 0.5, 3),
            spread=median([f.spread for f in recent], 0),
            change=median([f.change for f in recent], 0),
        )

    def _kin(self, number: int, without: frozenset[int] = frozenset()) -> list[_Frame]:
        """The neighbours in the same shot."""
        found = []
        for direction in (1, -1):
            for n in range(number + direction, number + direction * (REACH + 1), direction):
                frame, link = self._frames.get(n), self._frames.get(n if direction > 0 else n + 1)
                if frame is None or link is None or link.sight.cut:
                    break
                if n not in without:
                    found.append(frame)
        return found

    def _history(self, number: int, until: int, *, trusted: bool) -> Array:
        """Cues [N, C] of the frames around a frame; `trusted`: of those that are not suspect."""
        near = (self._frames.get(n) for n in range(number - HISTORY, until + 1) if n != number)
        rows = [
            f.cues
            for f in near
            if f and f.cues is not None and not f.sight.still and not (trusted and f.suspect)
        ]
        return np.array(rows, np.float32).reshape(-1, len(NAMES))


def _answer(before: Sight | None, here: Sight) -> Array | None:
    if before is None or here.cut or mean_difference(here.source[:1], before.source[:1]) < LEAST_CHANGE:
        return None
    return answer(before, here)


def standstill(here: Sight, before: Sight | None, styled: Array, contrast: Array) -> float:
    """How much less the styled picture changed than the source's motion would have it (log ratio); nan at rest."""
    if before is None or here.cut:
        return float("nan")
    change = mean_difference(styled[COLORS], before.styled[COLORS])
    source = mean_difference(here.source[COLORS], before.source[COLORS])
    expected = min(displacement(before, here), source * float(contrast[0]))
    if min(expected, source) < 0.15:
        return float("nan")
    return float(np.log((expected + 0.05) / (change + 0.05)))
