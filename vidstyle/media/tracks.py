"""The other tracks of the input on their way to the output: copied, or turned into what the container takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_BITS_PER_CHANNEL = 96_000
_SOUND_RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_JUMP_SECONDS = Fraction(1, 2)
"""Times that go back further than this belong to another recording ..."""
_SHORT_JUMP_SECONDS = Fraction(1, 10)
"""... or than this, in files that are often made of several: a recording may be short."""
_PAUSE_SECONDS = Fraction(1, 50)
"""Sound that begins so much later than the sound before it ends has paused; less is how containers round times."""
_SILENCE_SECONDS = 1
"""Silence is made in pieces of this length."""
_ASS_FIELDS = 8
"""What stands before the text of an ASS line, each followed by a comma."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """How times of the input become times of the output: what lies outside is cut, the rest shifted. In seconds."""

    shift: Fraction = Fraction(0)
    start: Fraction | None = None
    end: Fraction | None = None

    def ticks(self, time_base: Fraction) -> int:
        """The shift in ticks; times that must not be negative do not become so by rounding."""
        return math.ceil(self.shift / time_base)

    def holds(self, time: Fraction) -> bool:
        """Whether what happens at this time of the input is kept."""
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)

    @property
    def begin(self) -> Fraction:
        """The time of the input at which the output begins."""
        return -self.shift

    def cut(self, start: Fraction, end: Fraction) -> tuple[Fraction, Fraction] | None:
        """The kept part of a stretch of the input, still in the input's time; None if nothing is left."""
        if self.start is not None:
            start = max(start, self.start)
        if self.end is not None:
            end = min(end, self.end)
        return (start, end) if start < end else None


class Track(Protocol):
    def take(self, packet: Packet[Any]) -> Iterable[Packet[Any]]:
        """What is to be written for a packet of the input."""

    def end(self) -> Iterable[Packet[Any]]:
        """What is to be written after the last one."""


def recordings(pictures: Iterable[Packet[Any]], period: Fraction) -> list[Fraction]:
    """By how many seconds the times of each recording glued together in a file are moved, told by its pictures.

    The first is not; each other follows the one before at the distance of two frames, as in `decode`.
    """
    shifts = [Fraction(0)]
    newest = end = None
    for packet in pictures:
        coded = packet.dts if packet.dts is not None else packet.pts
        if coded is None:
            continue
        time = coded * packet.time_base
        shown = time if packet.pts is None else packet.pts * packet.time_base
        if newest is not None and end is not None and time < newest - _SHORT_JUMP_SECONDS:
            shifts.append(shifts[-1] + end + period - shown)
            end = shown
        newest, end = time, shown if end is None else max(end, shown)
    return shifts


class _Clock:
    """The times of a track, which go on where recordings were glued together and the second begins at its own zero.

    Each recording is moved as far as its pictures are (`shifts`, of `recordings`), so sound and picture stay together;
    where that is not known, it follows the one before.
    """

    def __init__(self, shifts: Sequence[Fraction] = ()) -> None:
        self._shifts = shifts
        self._jump = _SHORT_JUMP_SECONDS if len(shifts) > 1 else _JUMP_SECONDS
        self._recording = 0
        self._offset = 0
        self._own_end: int | None = None
        """Where the last packet ended, by the recording's own clock."""

    @property
    def glued(self) -> bool:
        """Whether this is not the first recording."""
        return self._recording > 0

    def next(self, time: int | None, duration: int, time_base: Fraction) -> int | None:
        """The time to be used for a packet's own one; where it has none, that at which the last one ended."""
        expected = self._own_end
        if time is None:
            time = expected
        elif expected is not None and time * time_base < expected * time_base - self._jump:
            self._recording += 1
            if self._recording < len(self._shifts):
                self._offset = round(self._shifts[self._recording] / time_base)
            else:
                self._offset += expected - time
        if time is None:
            return None
        self._own_end = time + duration
        return time + self._offset


class Copy:
    """A track copied bit for bit."""

    _gapless = True
    """Whether each packet begins where the one before it ends."""

    def __init__(
        self, stream: Stream, timeline: Timeline, *, strict: bool, shifts: Sequence[Fraction] = ()
    ) -> None:
        self._stream = stream
        self._timeline = timeline
        self._step = int(strict)
        self._clock = _Clock(shifts)
        self._last: int | None = None

    def take(self, packet: Packet[Any]) -> Iterable[Packet[Any]]:
        own = packet.dts if packet.dts is not None else packet.pts
        delay = packet.pts - packet.dts if packet.pts is not None and packet.dts is not None else 0
        length = packet.duration or 0 if self._gapless else 0
        time = self._clock.next(own, length, packet.time_base)
        if time is None or not self._timeline.holds((time + delay) * packet.time_base):
            return ()
        dts = time + self._timeline.ticks(packet.time_base)
        if self._last is not None:
            if self._clock.glued and (self._last - dts) * packet.time_base > _PAUSE_SECONDS:
                return ()  # the recording before was longer than its pictures, and is still heard here
            dts = max(dts, self._last + self._step)  # damaged files repeat times, which no container takes
        self._last = dts
        packet.pts, packet.dts = dts + max(delay, 0), dts
        packet.stream = self._stream
        return (packet,)

    def end(self) -> Iterable[Packet[Any]]:
        return ()


class CopyPicture(Copy):
    """Cover art: one packet, which belongs to the whole file."""

    def take(self, packet: Packet[Any]) -> Iterable[Packet[Any]]:
        packet.pts = packet.dts = 0
        packet.stream = self._stream
        return (packet,)


class CopySubtitles(Copy):
    """Subtitles copied; what a cut goes through is shown for the part that is left."""

    _gapless = False

    def take(self, packet: Packet[Any]) -> Iterable[Packet[Any]]:
        _cut_subtitle(packet, self._timeline)
        return super().take(packet)


def pauses(
    packets: Iterable[Packet[Any]], timeline: Timeline, shifts: Sequence[Fraction], *, from_start: bool
) -> bool:
    """Whether a track of sound has holes in what is kept of it; `from_start`: or begins after the output."""
    clock = _Clock(shifts)
    until = timeline.begin if from_start else None
    for packet in packets:
        time = clock.next(packet.pts, packet.duration or 0, packet.time_base)
        if time is None or not packet.duration or not timeline.holds(time * packet.time_base):
            continue
        if until is not None and time * packet.time_base - until > _PAUSE_SECONDS:
            return True
        until = (time + packet.duration) * packet.time_base
    return False


class Reencode:
    """Sound that the container does not take as it is, encoded anew, with silence where it pauses.

    until       where the pictures end, in the input's time: silence is made no longer
    from_start  with silence before it where it begins after the output
    """

    def __init__(
        self,
        output: OutputContainer,
        source: Stream,
        codec: str,
        timeline: Timeline,
        *,
        until: Fraction,
        from_start: bool,
        shifts: Sequence[Fraction] = (),
    ) -> None:
        self._decoder = cast(Any, source.codec_context)
        channels = min(self._decoder.layout.nb_channels, 2 if codec == "libmp3lame" else 8)
        exact = codec.startswith("pcm_")
        rate = self._decoder.sample_rate if exact else _sound_rate(codec, self._decoder.sample_rate)
        self.stream: Any = output.add_stream(codec, rate=rate)
        encoder: Any = self.stream.codec_context
        encoder.layout = self._decoder.layout if exact else _LAYOUTS[channels]
        if not exact:
            encoder.bit_rate = _BITS_PER_CHANNEL * channels
        encoder.open()
        self._tick = source.time_base or Fraction(1, self._decoder.sample_rate)
        self._timeline = timeline
        self._clock = _Clock(shifts)
        self._longest = until
        self._until = timeline.begin if from_start else None
        """Where the sound has been written to, in the input's time."""

    def take(self, packet: Packet[Any]) -> Iterable[Packet[Any]]:
        return self._encode(packet)

    def end(self) -> Iterable[Packet[Any]]:
        yield from self._encode(None)
        yield from self.stream.encode(None)

    def _encode(self, packet: Packet[Any] | None) -> Iterable[Packet[Any]]:
        with suppress(
            av.FFmpegError, ValueError
        ):  # damage is silence; so is a change to another kind of sound
            for frame in self._decoder.decode(packet):
                tick = frame.time_base or self._tick  # what a decoder held back to the end may lack it
                length = Fraction(frame.samples, frame.sample_rate)
                time = self._clock.next(frame.pts, round(length / tick), tick)
                if time is None or not self._timeline.holds(time * tick) or self._covered(time * tick):
                    continue
                yield from self._pause(frame, time * tick)
                self._until = time * tick + length
                yield from self._write(frame, time * tick)

    def _covered(self, time: Fraction) -> bool:
        """Whether the recording before, longer than its pictures, is still heard then."""
        return self._clock.glued and self._until is not None and self._until - time > _PAUSE_SECONDS

    def _pause(self, frame: av.AudioFrame, time: Fraction) -> Iterable[Packet[Any]]:
        """Silence of the kind of `frame`, up to its time."""
        if self._until is None or time - self._until <= _PAUSE_SECONDS:
            return
        rate = frame.sample_rate
        missing = range(
            round(self._until * rate), round(min(time, self._longest) * rate), _SILENCE_SECONDS * rate
        )
        for start in missing:
            samples = min(_SILENCE_SECONDS * rate, missing.stop - start)
            silence = av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=samples)
            silence.sample_rate = rate
            for plane in silence.planes:
                plane.update(bytes([128 if frame.format.name.startswith("u8") else 0]) * plane.buffer_size)
            yield from self._write(silence, Fraction(start, rate))

    def _write(self, frame: av.AudioFrame, time: Fraction) -> Iterable[Packet[Any]]:
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = math.ceil((time + self._timeline.shift) * frame.sample_rate)
        return cast("list[Packet[Any]]", self.stream.encode(frame))


class ConvertText:
    """Text subtitles in the container's own spelling."""

    def __init__(self, output: OutputContainer, source: Stream, codec: str, timeline: Timeline) -> None:
        self._decoder = cast(SubtitleCodecContext, source.codec_context)
        self._decoder.open(strict=False)
        self.stream: Any = output.add_stream(codec)
        self._encoder = cast(SubtitleCodecContext, self.stream.codec_context)
        self._encoder.subtitle_header = self._decoder.subtitle_header
        self._encoder.time_base = source.time_base or Fraction(1, av.time_base)
        self._encoder.open()
        self.stream.time_base = self._encoder.time_base
        self._timeline = timeline

    def take(self, packet: Packet[Any]) -> Iterable[Packet[Any]]:
        if packet.pts is None:
            return
        try:
            decoded = self._decoder.decode2(packet)
        except (av.FFmpegError, ValueError):
            return
        lines = [cast(AssSubtitle, rect).ass for rect in decoded.rects] if decoded is not None else []
        _cut_subtitle(packet, self._timeline)
        if not lines or not self._timeline.holds(packet.pts * packet.time_base):
            return
        head, _ = _split_ass(lines[0])
        text = head + b"\\N".join(_split_ass(line)[1] for line in lines)
        coded = self._encoder.encode_subtitle(SubtitleSet.create(text, 0, packet.duration or 0, packet.pts))
        coded.time_base = packet.time_base
        coded.pts = coded.dts = packet.pts + self._timeline.ticks(packet.time_base)
        coded.duration = packet.duration
        coded.stream = self.stream
        yield coded

    def end(self) -> Iterable[Packet[Any]]:
        return ()


def _sound_rate(codec: str, rate: int) -> int:
    """The lowest rate all these encoders know that loses nothing; Opus knows only one of music quality."""
    if codec == "libopus":
        return 48000
    return min((r for r in _SOUND_RATES if r >= rate), default=_SOUND_RATES[0])


def _split_ass(line: bytes) -> tuple[bytes, bytes]:
    """An ASS line as its fields, with the last comma, and its text."""
    *fields, text = line.split(b",", _ASS_FIELDS)
    return b",".join([*fields, b""]), text


def _cut_subtitle(packet: Packet[Any], timeline: Timeline) -> None:
    """Shorten what a cut goes through."""
    if packet.pts is None or not packet.duration:
        return
    start = packet.pts * packet.time_base
    if kept := timeline.cut(start, start + packet.duration * packet.time_base):
        packet.pts = packet.dts = math.ceil(kept[0] / packet.time_base)
        packet.duration = round((kept[1] - kept[0]) / packet.time_base)
