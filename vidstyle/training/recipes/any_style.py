"""Learn to paint like any picture: one network that turns a picture into a generator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidstyle import styles
from vidstyle.guides import LINES, STROKES, TEXTURES
from vidstyle.models.any_style import AnyStyle
from vidstyle.models.generator import Generator
from vidstyle.models.load import load, load_features
from vidstyle.models.marks import Liveliness, given_marks, liveliness_of
from vidstyle.models.palette import Colours, colours_of, transfer
from vidstyle.training import losses
from vidstyle.training.data import GUIDE_UNIT, Pair
from vidstyle.training.datasets import Batch, Draw, PaintedPairs, Picture
from vidstyle.training.engine import Engine
from vidstyle.training.recipes.base import Recipe, RecipeSettings, option, rows, to_picture
from vidstyle.training.style_pictures import StylePicture, known
from vidstyle.training.teachers import Teacher, oil

PLANES = (STROKES, LINES, *TEXTURES)
"""All guide planes: which of them a style uses is for the network to say."""
UNPAINTED = Teacher(lambda picture, _: picture, PLANES)
"""In place of a painter: photographs and their guides are all that is wanted."""
OIL = Teacher(lambda picture, guides: oil(picture, guides[..., PLANES.index(STROKES)]), PLANES)
"""Paints what every style begins with, before it gets the marks and the colours of its own picture."""
TYPICAL = 24
"""Photographs that tell how lively photographs are."""
SHIFT = 8
"""The second view of the temporal term is moved by up to so many pixels ..."""
DISTURBANCE = 0.02
"""... and carries noise of at most this deviation."""
BORDER = 16
"""Pixels at the border of a crop that the temporal term leaves out."""
SHEET = 256
"""Side of the pictures on the sheets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyStyleSettings(RecipeSettings):
    steps: int = option(10000, "length of the run")
    crop: int = option(128, "side of the pictures")
    styles: int = option(2, "styles in one step")
    rate: float = option(1e-3, "learning rate")
    imitation_weight: float = option(1.0, "of an oil painting with the colours and marks of the style")
    detail_weight: float = option(2.0, "of as much local detail as that painting's")
    style_weight: float = option(1.0, "of Gram matrices, if there are features")
    content_weight: float = option(0.25, "of the photograph's features, if there are any")
    temporal_weight: float = option(1.0, "of the same scene a moment later, painted alike")
    dots_weight: float = option(0.0, "of dots and lines of one pixel, which no brush makes")
    edge_channels: int = option(32, "width of the generator's first and last layers")
    banks: int = option(4, "weights that a style mixes")
    most_styles: int = option(0, "pictures of each place in --art (0: all)")

    def __post_init__(self) -> None:
        least = 2 * BORDER + 2 * SHIFT
        if self.crop < least or self.crop % 8:
            raise ValueError(f"crop must be a multiple of 8 from {least} upwards, not {self.crop}")
        if self.batch % self.styles:
            raise ValueError(f"batch must be a multiple of styles, not {self.batch}")


@dataclass(frozen=True, slots=True)
class Motif:
    """What is known of a photograph and of its oil painting as a whole."""

    pair: Pair
    source: Colours
    painting: Colours
    lively: Liveliness
    """Of the source."""
    painted: Liveliness

    @classmethod
    def of(cls, pair: Pair) -> Motif:
        source, painted = [pair.source], [pair.painted]
        lively = liveliness_of(source), liveliness_of(painted)
        return cls(pair, colours_of(source), colours_of(painted), *lively)

    def facts(self, style: StylePicture) -> Tensor:
        """What the network is told when it is to paint this in a style."""
        matrix, _ = transfer(self.source, style.colours)
        return torch.cat((style.facts, torch.from_numpy(self.lively.in_colours(matrix).facts)))


class AnyStyleRecipe(Recipe):
    """An oil painting with the colours and marks of the style to copy; Gram matrices where there are features.

    A photograph comes in the colours of the style, as frames do later (`vidstyle.models.palette`). What is copied, with
    the losses of `losses.distillation` and `losses.detail`, is the oil painting of it in the style's colours, with
    marks as strong as the style's (`vidstyle.training.marks`). The Gram matrix (Gatys et al., 2016) that must agree is
    the mean over all crops painted in one style: as a frame, they are busy in one place, calm in another.

    network   an `AnyStyle` with `centre` and `spread` set, or another that is called in the same way
    photos    painted by OIL, with their guides (all PLANES); by UNPAINTED where nothing is copied
    shown     styles to learn
    held      styles for the sheets
    features  frozen network of the losses; one without maps leaves them out
    """

    settings: AnyStyleSettings

    def __init__(
        self,
        settings: AnyStyleSettings,
        network: nn.Module,
        photos: PaintedPairs,
        shown: Sequence[StylePicture],
        held: Sequence[StylePicture],
        features: nn.Module,
    ) -> None:
        self.settings, self.steps, self.features = settings, settings.steps, features
        self.photos, self.styles, self.held = photos, shown, held
        self._motifs: dict[int, Motif] = {}
        groups = [style.group for style in shown]
        shares = np.array([groups.count(group) ** -0.5 for group in groups])
        self._shares = shares / shares.sum()
        self.networks = {"any": network}
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizers = {"any": torch.optim.Adam(trained, settings.rate, betas=(0.9, 0.99))}
        self.averaged = {"any": "any"}
        self._built = {"network": "any", "settings": getattr(network, "settings", {}), "guides": list(PLANES)}

    def built(self) -> dict[str, dict[str, Any]]:
        return {"any": self._built}

    def rates(self, step: int) -> dict[str, float]:
        warm = min(1.0, (step + 1) / 100)
        return {
            "any": self.settings.rate
            * warm
            * (0.03 + 0.97 * (0.5 + 0.5 * math.cos(math.pi * step / self.steps)))
        }

    # ---- batches

    def draw(self, draw: Draw) -> Batch:
        """For each style: its facts, Gram matrices, and pairs of crops of photographs in its colours."""
        settings, random = self.settings, draw.random
        chosen = random.choice(len(self.styles), settings.styles, p=self._shares)
        each = settings.batch // settings.styles
        batch: Batch = {}
        sources, targets, guides = [], [], []
        for number, which in enumerate(chosen):
            style = self.styles[int(which)]
            for layer, gram in enumerate(style.grams):
                batch[f"gram{number}-{layer}"] = gram.float()
            numbers = random.integers(len(self.photos.pairs), size=(each + 1) // 2)
            motifs = [self._motif(int(n)) for n in numbers]
            batch[f"facts{number}"] = torch.stack([motif.facts(style) for motif in motifs]).mean(0)
            for crop in range(each):
                source, target, guide = self._crop(motifs[crop // 2], style, random)
                sources.append(source)
                targets.append(target)
                guides.append(guide)
        noise = random.normal(size=(settings.batch, 3, settings.crop, settings.crop)).astype(np.float32)
        noise *= random.uniform(0, DISTURBANCE, (settings.batch, 1, 1, 1)).astype(np.float32)
        return batch | {
            "source": torch.from_numpy(np.stack(sources)),
            "target": torch.from_numpy(np.stack(targets)),
            "guides": torch.from_numpy(np.stack(guides)),
            "noise": torch.from_numpy(noise),
            "shift": torch.from_numpy(random.integers(0, SHIFT + 1, 2)),
        }

    def _crop(
        self, motif: Motif, style: StylePicture, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A crop in the colours of a style, as it is to be painted [3, h, w], and its guides [C, h, w], float32."""
        side = self.settings.crop + SHIFT
        top, left = (int(random.integers(0, length - side + 1)) for length in motif.pair.size)
        part = motif.pair.part(slice(top, top + side), slice(left, left + side))
        guides = (part.guides.astype(np.float32) - 128) / GUIDE_UNIT
        source = target = in_colours(part.source, motif.source, style.colours)
        if self.settings.imitation_weight:
            painting = in_colours(part.painted, motif.painting, style.colours).clip(0, 1)
            own = motif.painted.in_colours(transfer(motif.painting, style.colours)[0])
            strokes, grain = (guides[..., PLANES.index(plane)] for plane in (STROKES, "paper"))
            target = given_marks(painting, strokes, grain, style.marks, own)
        return source.transpose(2, 0, 1), target.transpose(2, 0, 1), guides.transpose(2, 0, 1)

    def _motif(self, number: int) -> Motif:
        if number not in self._motifs:
            self._motifs[number] = Motif.of(self.photos.pairs[number])
        return self._motifs[number]

    # ---- one step

    def step(self, batch: Batch, engine: Engine) -> dict[str, Tensor]:
        terms = self.terms(batch, self.networks["any"], engine)
        norm = engine.update("any", torch.stack(list(terms.values())).sum())
        return {name: value.detach() for name, value in terms.items()} | {"gradient": norm}

    def terms(self, batch: Batch, network: nn.Module, engine: Engine) -> dict[str, Tensor]:
        """The losses, weighted; `network` is called with frames, guides and facts."""
        settings = self.settings
        each, size = settings.batch // settings.styles, settings.crop
        top, left = (int(v) for v in batch["shift"])
        first = batch["source"][..., :size, :size], batch["guides"][..., :size, :size]
        moved = (..., slice(top, top + size), slice(left, left + size))
        later = batch["source"][moved] + batch["noise"], batch["guides"][moved]
        features = self.features.to(engine.device)
        painted, again = [], []
        with engine.autocast():
            for number in range(settings.styles):
                mine = slice(number * each, (number + 1) * each)
                half = slice(number * each, number * each + each // 2)
                views = [
                    torch.cat((one[mine], two[half])).contiguous(memory_format=torch.channels_last)
                    for one, two in zip(first, later, strict=True)
                ]
                both = network(*views, batch[f"facts{number}"])
                painted.append(both[:each])
                again.append(both[each:])
            pictures = torch.cat(painted).contiguous(memory_format=torch.channels_last)
            of_painted = features(pictures)
            with torch.no_grad():
                of_source = features(first[0].contiguous(memory_format=torch.channels_last))
        terms = {"temporal": settings.temporal_weight * self._temporal(painted, again, top, left)}
        if settings.imitation_weight:
            target = batch["target"][..., :size, :size]
            terms["imitation"] = settings.imitation_weight * losses.distillation(pictures.float(), target)
            terms["detail"] = settings.detail_weight * losses.detail(pictures, target)
        if of_painted:
            terms["style"] = settings.style_weight * self._style(of_painted, batch)
            terms["content"] = settings.content_weight * structure(of_painted[-1], of_source[-1])
        if settings.dots_weight:
            terms["dots"] = settings.dots_weight * dots(pictures)
        return terms

    def _style(self, of_painted: Sequence[Tensor], batch: Batch) -> Tensor:
        """Relative distance of the mean Gram matrix of each style's crops, mean over styles and layers."""
        distances = []
        for layer, maps in enumerate(of_painted):
            found = gram(maps).unflatten(0, (self.settings.styles, -1)).mean(1)
            for number in range(self.settings.styles):
                wanted = batch[f"gram{number}-{layer}"]
                distances.append((found[number] - wanted).norm() / wanted.norm())
        return torch.stack(distances).mean()

    def _temporal(self, painted: Sequence[Tensor], again: Sequence[Tensor], top: int, left: int) -> Tensor:
        crop = self.settings.crop
        same = slice(top + BORDER, crop - BORDER), slice(left + BORDER, crop - BORDER)
        there = slice(BORDER, crop - BORDER - top), slice(BORDER, crop - BORDER - left)
        differences = [
            (a[: len(b), :, same[0], same[1]] - b[:, :, there[0], there[1]]).abs().mean()
            for a, b in zip(painted, again, strict=True)
        ]
        return torch.stack(differences).mean()

    def sheet(self, averages: Mapping[str, nn.Module], device: torch.device) -> Picture | None:
        """Held-out photographs (rows) in held-out styles (columns)."""
        network = averages["any"]
        made = []
        for pair in self.photos.held[:4]:
            pair = pair.part(slice(SHEET), slice(SHEET))
            made.append(
                [pair.source, *(self._paint(network, pair, style, device) for style in self.held[:8])]
            )
        return rows(made)

    def _paint(self, network: nn.Module, pair: Pair, style: StylePicture, device: torch.device) -> Picture:
        motif = Motif.of(pair.part(*(slice(side // 4 * 4) for side in pair.size)))
        pair = motif.pair
        source = in_colours(pair.source, motif.source, style.colours)
        guides = (pair.guides.astype(np.float32) - 128) / GUIDE_UNIT
        frames, planes = (
            torch.from_numpy(array).permute(2, 0, 1)[None].to(device) for array in (source, guides)
        )
        return to_picture(network(frames, planes, motif.facts(style).to(device))[0])


def gram(maps: Tensor) -> Tensor:
    """`features.gram` in the precision of the maps: it is close enough (cosine of the slopes .99999) and cheaper.

    Products of rows of channels keep the memory format of a channels_last network, forwards and backwards.
    """
    places = maps.permute(0, 2, 3, 1).flatten(1, 2)
    return (places.transpose(1, 2) @ places).float() / places.shape[1]


def in_colours(picture: Picture, own: Colours, wanted: Colours) -> np.ndarray:
    """A picture uint8 [H, W, 3] with the colours of another one, float32 around [0, 1]."""
    matrix, offset = transfer(own, wanted)
    mapped = picture.astype(np.float32) @ (matrix.T / 255).astype(np.float32)
    return np.asarray(mapped + offset.astype(np.float32))


def structure(painted: Tensor, source: Tensor) -> Tensor:
    """Mean squared distance of feature maps [N, C, h, w], each channel at mean 0 and deviation 1 in each picture.

    What is where counts, not how strong it is: strength belongs to the style.
    """
    return (_standard(painted) - _standard(source)).square().mean()


def dots(pictures: Tensor) -> Tensor:
    """Mean squared second difference along rows and columns of pictures [N, 3, H, W]."""
    pictures = pictures.float()
    return pictures.diff(n=2, dim=2).square().mean() + pictures.diff(n=2, dim=3).square().mean()


def _standard(maps: Tensor) -> Tensor:
    maps = maps.float()
    return (maps - maps.mean((2, 3), keepdim=True)) / (maps.std((2, 3), keepdim=True) + 0.05)


def begin_with(network: AnyStyle, style: Generator, guides: Sequence[str]) -> None:
    """Take over what a style's generator (with these guides) knows, where the shapes agree; other guides count 0."""
    ours, theirs = dict(network.base.named_parameters()), dict(style.named_parameters())
    with torch.no_grad():
        for name, weight in theirs.items():
            if name in ours and ours[name].shape == weight.shape:
                ours[name].copy_(weight)
        stem = ours["stem.weight"]
        if len(stem) == len(style.stem.weight):
            stem.zero_()
            stem[:, :3] = style.stem.weight[:, :3]
            for place, plane in enumerate(guides):
                stem[:, 3 + PLANES.index(plane)] = style.stem.weight[:, 3 + place]
        if style.mix is None:
            ours["mix.weight"].copy_(torch.eye(3)[..., None, None])
            ours["mix.bias"].zero_()


def standardise(network: AnyStyle, styles: Sequence[StylePicture], photos: PaintedPairs) -> None:
    """Have the network see its facts at mean 0 and deviation 1 over these styles and some of the photos."""
    pairs = photos.pairs[:: -(-len(photos.pairs) // TYPICAL)]
    facts = torch.stack([motif.facts(style) for motif in map(Motif.of, pairs) for style in styles])
    network.centre.copy_(facts.mean(0))
    network.spread.copy_(facts.std(0).clamp_min(1e-3))


def prepared(
    settings: AnyStyleSettings,
    photos: PaintedPairs,
    art: Sequence[Path],
    held_art: Sequence[Path],
    features: nn.Module,
    begin: str | None,
) -> AnyStyleRecipe:
    """The recipe with its network built and its styles looked at."""
    torch.manual_seed(settings.seed)
    generator = {"edge_channels": settings.edge_channels, "guide_channels": len(PLANES), "mix_skip": True}
    network = AnyStyle(generator=generator, banks=settings.banks)
    network.features.load_state_dict(load_features().state_dict())
    if begin:
        style = styles.find(begin)
        known_generator = load(style)
        assert isinstance(known_generator, Generator)
        begin_with(network, known_generator, style.guides)
    shown = known(art, network.describe, features, parts=True, most=settings.most_styles)
    held = known(held_art, network.describe, features, parts=False) if held_art else shown
    standardise(network, shown, photos)
    return AnyStyleRecipe(settings, network, photos, shown, held, features)
