"""Write the trained generator of a run to checkpoints/ and enter it in checkpoints/manifest.json.

    python scripts/export.py runs/oil --style oil
    python scripts/export.py runs/pairs --style pairs --title "Pairs" --trained-on "my photographs" \
        --onnx pairs.onnx --frames CLIP.mp4

The file holds the running mean of the weights as float16. With --frames it is compared on real frames with the float32
weights of the run, and so is the ONNX file (which needs `pip install 'vidstyle[export]'`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vidstyle.errors import InputError, ResourceError, UsageError, VidstyleError
from vidstyle.models.any_style import AnyStyle
from vidstyle.models.dcgan import NoiseGenerator
from vidstyle.models.generator import Generator
from vidstyle.training.data import find, read, still_guides
from vidstyle.training.losses import YUV
from vidstyle.training.recipes.adversarial import GENERATORS
from vidstyle.training.state import read_state
from vidstyle.training.teachers import TEACHERS

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"
NETWORKS: dict[str, type[nn.Module]] = {**GENERATORS, "noise": NoiseGenerator, "any": AnyStyle}
FREE = "Photographs and film frames under free licences; see README.md beside this file."
ABOUT = {
    "oil": (
        "Oil painting",
        "Thick oil paint: strokes along the forms, bristle marks in the light, warm old varnish.",
    ),
    "cartoon": (
        "Cartoon",
        "A drawn film: flat lively colours in soft steps of tone, dark outlines fine and broad.",
    ),
    "scifi": (
        "Science fiction",
        "A city of the future by night: deep blue shadows, cyan and magenta light, glowing contours.",
    ),
    "watercolor": (
        "Watercolour",
        "Light washes on grained paper: pigment gathered at the edges, tide marks, bare paper in the lights.",
    ),
    "sketch": (
        "Pencil sketch",
        "Pencil on paper: contours, hatching in the shadows, faces with a light hand.",
    ),
    "ukiyoe": (
        "Ukiyo-e",
        "A Japanese woodblock print: flat pigments on cream paper, Prussian blue shadows, even dark lines.",
    ),
}
"""Title and description of the shipped styles."""
FRAMES = 4
"""So many of the given frames are compared."""
CLOSE = 40.0
"""PSNR in dB that float16 weights and ONNX must reach; 8 bits of a picture end at about 59."""


def network_of(state: dict[str, Any], name: str, style: str) -> tuple[nn.Module, dict[str, Any]]:
    """The averaged network called `name` of a training state, float32, and what was built."""
    if name not in state["built"]:
        raise UsageError(
            f"The run has no network {name!r}.", hint=f"choose one of {', '.join(state['built'])}"
        )
    built = dict(state["built"][name])
    if built["network"] == "generator":
        built.setdefault("guides", list(TEACHERS[style].guides) if style in TEACHERS else [])
    network = NETWORKS[built["network"]](**built["settings"])
    network.load_state_dict(state["averages"][name])
    if style in TEACHERS and TEACHERS[style].grey and isinstance(network, Generator):
        take_colour(network)
    return network.eval().requires_grad_(False), built


def export(
    run: Path, style: str, checkpoints: Path, about: dict[str, str], *, name: str | None = None
) -> dict[str, Any]:
    """Store the averaged weights as float16 and return the manifest entry.

    A light generator is entered as a style; others, which vidstyle itself does not run, as networks.
    Raises UsageError, InputError.
    """
    state = read_state(run)
    network, built = network_of(state, name or next(iter(state["built"]), "generator"), style)
    tensors = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise InputError("Weights are not finite or do not fit into float16.", name=str(run))
    data = save(tensors)
    checkpoints.mkdir(parents=True, exist_ok=True)
    write(checkpoints / f"{style}.safetensors", data)
    entry = {"file": f"{style}.safetensors", "sha256": hashlib.sha256(data).hexdigest(), **built, **about}
    manifest_file = checkpoints / "manifest.json"
    manifest = json.loads(manifest_file.read_text()) if manifest_file.exists() else {"schema": 1}
    for section in ("styles", "networks"):
        manifest.setdefault(section, {})
    manifest["styles" if built["network"] == "generator" else "networks"][style] = entry
    write(manifest_file, (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
    return entry


def take_colour(network: Generator) -> None:
    """Have all three channels show the luma of what the network painted, in place."""
    with torch.no_grad():
        luma = torch.tensor(YUV[0])
        layers = [network.out] if network.mix is None else [network.out, network.mix]
        for weights in (values for layer in layers for values in layer.parameters()):
            channels = weights.view(3, -1)
            channels.copy_((luma @ channels).expand_as(channels))


def write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def exported(entry: dict[str, Any], checkpoints: Path) -> nn.Module:
    """The network of a manifest entry, float32, as vidstyle would load it."""
    network = NETWORKS[entry["network"]](**entry["settings"])
    tensors = load_file(checkpoints / entry["file"])
    network.load_state_dict({key: value.float() for key, value in tensors.items()})
    return network.eval().requires_grad_(False)


# ---- comparing


def inputs(entry: dict[str, Any], multiple: int, places: Sequence[Path]) -> list[tuple[Tensor, ...]]:
    """What the network is given for some real frames, their sides multiples of `multiple`; noise if it wants that."""
    if entry["network"] == "noise":
        random = torch.Generator().manual_seed(0)
        settings = entry["settings"]
        classes = (torch.arange(FRAMES) % settings["classes"],) if settings["classes"] else ()
        return [(torch.randn(FRAMES, settings["latent"], generator=random), *classes)]
    pictures = list(islice((picture for path in find(places) for picture in read(path)), FRAMES))
    if not pictures:
        raise InputError("There is no frame to compare on.", name=", ".join(map(str, places)))
    made = []
    for picture in pictures:
        height, width = (min(side, 512) // multiple * multiple for side in picture.shape[:2])
        source = np.ascontiguousarray(picture[:height, :width], np.float32) / 255
        arrays = source, still_guides(source, entry["guides"])
        made.append(tuple(torch.from_numpy(array).permute(2, 0, 1)[None].contiguous() for array in arrays))
    return made


def psnr(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Of all pictures together, dB, at most 200."""
    errors = [(a.clamp(0, 1) - b.clamp(0, 1)).square().mean() for a, b in zip(ours, theirs, strict=True)]
    return float(-10 * torch.log10(torch.stack(errors).mean() + 1e-20))


def compared(what: str, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    found = psnr(ours, theirs)
    if found < CLOSE:
        raise ResourceError(f"{what} paints differently from the run: {found:.1f} dB.")
    return round(found, 1)


# ---- ONNX


def write_onnx(network: nn.Module, path: Path, example: tuple[Tensor, ...]) -> None:
    """Opset 18; batch, height and width are free."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ResourceError(
            f"ONNX files need the package {error.name}.", hint="pip install 'vidstyle[export]'"
        ) from error
    names = ("frames", "guides") if example[0].dim() == 4 else ("noise", "classes")
    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    shapes = tuple({axis: dim for axis, dim in free.items() if axis < tensor.dim()} for tensor in example)
    if example[0].dim() == 4:
        example = tuple(
            torch.cat((tensor, tensor)) for tensor in example
        )  # a batch of one would be taken for fixed
    part = path.with_name(path.name + ".part")
    torch.onnx.export(
        network,
        example,
        str(part),
        input_names=list(names[: len(example)]),
        output_names=["pictures"],
        opset_version=18,
        dynamo=True,
        dynamic_shapes=shapes,
        external_data=False,
        verbose=False,
    )
    part.replace(path)


def run_onnx(path: Path, given: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    try:
        import onnxruntime
    except ImportError as error:
        raise ResourceError(
            "Checking an ONNX file needs the package onnxruntime.", hint="pip install 'vidstyle[export]'"
        ) from error
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    # A network without guides has no such input.
    feeds = [
        {n: t.numpy() for n, t in zip(("frames", "guides"), one, strict=False) if n in names} for one in given
    ]
    if "noise" in names:
        feeds = [{n: t.numpy() for n, t in zip(names, one, strict=True)} for one in given]
    return [torch.from_numpy(session.run(None, feed)[0]) for feed in feeds]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of the run, or a state file")
    parser.add_argument("--style", required=True, help="name of the style and its file")
    parser.add_argument("--network", help="which of the run's networks (default: its first generator)")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    parser.add_argument("--title", help="as `vidstyle styles` shows it")
    parser.add_argument("--description", help="one sentence")
    parser.add_argument("--licence", default="MIT", help="of the weights")
    parser.add_argument("--trained-on", default=FREE, help="the data and its licence")
    parser.add_argument("--frames", nargs="+", type=Path, default=[], help="pictures or videos to compare on")
    parser.add_argument("--onnx", type=Path, help="write an ONNX file as well")
    args = parser.parse_args(arguments)
    title, description = ABOUT.get(args.style, (args.style, ""))
    about = {
        "title": args.title or title,
        "description": args.description or description,
        "licence": args.licence,
        "trained_on": args.trained_on,
    }
    try:
        entry = export(args.run, args.style, args.checkpoints, about, name=args.network)
        print(json.dumps(entry, indent=2))
        if args.frames or args.onnx or entry["network"] == "noise":
            print(json.dumps(compare(entry, args)))
    except VidstyleError as error:
        print(f"{error}{f' ({error.hint})' if error.hint else ''}", file=sys.stderr)
        return error.exit_code
    return 0


def compare(entry: dict[str, Any], args: argparse.Namespace) -> dict[str, float]:
    """PSNR of what was written against the float32 weights of the run, on real frames."""
    if not args.frames and entry["network"] != "noise":
        raise UsageError(
            "An ONNX file is checked on real frames.", hint="name a clip or pictures with --frames"
        )
    state = read_state(args.run)
    network, _ = network_of(state, args.network or next(iter(state["built"])), args.style)
    given = inputs(entry, getattr(network, "size_multiple", 1), args.frames)
    wanted = [network(*one) for one in given]
    shipped = exported(entry, args.checkpoints)
    found = {"float16_psnr": compared("The exported file", [shipped(*one) for one in given], wanted)}
    if args.onnx:
        write_onnx(shipped, args.onnx, given[0])
        found["onnx_psnr"] = compared("The ONNX file", run_onnx(args.onnx, given), wanted)
    return found


if __name__ == "__main__":
    sys.exit(main())
