"""Draw the sample clip: python scripts/make_sample.py OUT.mp4 [--size 640x360 --seconds 6].

Two scenes, made to give a painter something to do: a valley with a lake, flown through (depth, textures, fine
leaves, people), a hard cut, the sea at sunset with two people walking along the beach (faces, waves, glitter, smooth
gradients), and a fade to black, with a little tune. Everything is computed here from one seed; the same arguments give
the same pictures.

Colours are linear light, RGB, float32 in [0, 1], until a frame is finished. Lengths in the scenes are metres: x to the
right, y up, z into the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from sample.paint import Array
from sample.shore import Shore
from sample.valley import Valley

RATE = 24
SAMPLE_RATE = 48_000


def frames(size: tuple[int, int], seconds: float, seed: int = 7) -> Iterator[Array]:
    """Every frame of the clip, uint8 [h, w, 3] RGB."""
    rng = np.random.default_rng(seed)
    scenes = (Valley(rng, size), Shore(rng, size))
    count = round(seconds * RATE)
    first = round(count * 0.55)
    for index in range(count):
        scene, start, end = (scenes[0], 0, first) if index < first else (scenes[1], first, count)
        picture = scene.frame((index - start) / RATE, (index - start) / max(end - start, 1))
        fade = min(1.0, (count - 1 - index) / (0.13 * count))
        yield finish(picture * fade)


def _display_curve() -> Array:
    """uint8 for linear light from 0 to 2 in 8192 steps: a shoulder for the highlights, then the display's curve."""
    light = np.linspace(0, 2, 8192)
    shoulder = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), light)
    return (shoulder ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


DISPLAY_CURVE = _display_curve()


def finish(picture: Array) -> Array:
    """Linear light to uint8."""
    return DISPLAY_CURVE[np.clip(picture * 4095.5, 0, 8191).astype(np.int16)]


def tune(seconds: float, seed: int = 7) -> Array:
    """A plucked melody over soft chords, float32 [2, samples], with the picture's fade at the end."""
    rng = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    sound = np.zeros((2, count + 4 * SAMPLE_RATE))
    beat = 0.375
    melody = (67, 71, 74, 79, 78, 74, 71, 74, 72, 76, 79, 84, 83, 79, 76, 74)
    chords = ((43, 59, 62), (40, 55, 59), (48, 60, 64), (50, 57, 66))
    for step in range(int(seconds / beat) + 1):
        note = melody[step % len(melody)]
        pan = 0.5 + 0.3 * np.sin(step)
        _add(sound, step * beat, note, 1.4, 0.16 * rng.uniform(0.8, 1.1), pan, attack=0.004)
        if step % 4 == 0:
            for voice in chords[step // 4 % len(chords)]:
                _add(sound, step * beat, voice, 2.4, 0.07, 0.5, attack=0.12)
    echo = round(0.28 * SAMPLE_RATE)
    sound[:, echo:] += 0.28 * sound[::-1, :-echo]
    fade = np.clip((seconds - np.arange(count) / SAMPLE_RATE) / (0.16 * seconds), 0, 1)
    return np.tanh(1.3 * sound[:, :count] * fade).astype(np.float32)


def _add(
    sound: Array, start: float, note: int, length: float, loudness: float, pan: float, attack: float
) -> None:
    """One tone of a few partials into `sound`; `note` as in MIDI."""
    time = np.arange(round(length * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 440 * 2 ** ((note - 69) / 12)
    tone = sum(
        np.sin(2 * np.pi * pitch * n * time) * np.exp(-time * (1.8 + 1.6 * n)) / n**1.4 for n in (1, 2, 3, 4)
    )
    tone = loudness * tone * np.clip(time / attack, 0, 1) * np.clip((length - time) / 0.05, 0, 1)
    first = round(start * SAMPLE_RATE)
    span = sound[:, first : first + len(tone)]
    span += np.array([[1 - pan], [pan]]) * tone[: span.shape[1]]


def write(path: Path, size: tuple[int, int], seconds: float) -> None:
    """Encode the clip as H.264 and AAC."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        sound = av.AudioFrame.from_ndarray(tune(seconds), format="fltp", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        for picture in frames(size, seconds):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for frame in (sound, None):
            container.mux(audio.encode(frame))


def parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    size = int(width), int(height)
    if min(size) < 64 or size[0] % 2 or size[1] % 2:
        raise argparse.ArgumentTypeError("width and height have to be even numbers from 64 on")
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw vidstyle's sample clip.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=parse_size, default=(640, 360), metavar="WIDTHxHEIGHT")
    parser.add_argument("--seconds", type=float, default=6.0)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    partial = arguments.out.with_name(f".{arguments.out.stem}.partial{arguments.out.suffix}")
    try:
        write(partial, arguments.size, arguments.seconds)
        partial.replace(arguments.out)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
