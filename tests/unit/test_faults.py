import pytest
import torch

from tests.unit.test_stylize import make_batch
from vidstyle.errors import UsageError
from vidstyle.faults import FAULTS, inject, parse_faults
from vidstyle.frames import StyledBatch


def test_ranges_and_single_frames_are_read() -> None:
    assert sorted(parse_faults("noise@3, blank@7-9")) == [3, 7, 8, 9]
    assert parse_faults("") == {}


@pytest.mark.parametrize("text", ["noise", "melt@3", "noise@x", "noise@3-"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_faults(text)


@pytest.mark.parametrize("kind", sorted(FAULTS))
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_only_the_chosen_frame_is_damaged_and_the_same_way_each_time(kind: str, dtype: torch.dtype) -> None:
    source = make_batch(3, dtype=dtype)
    batch = StyledBatch(source, source.pixels, (None,) * 3)
    faults = parse_faults(f"{kind}@1")
    damaged = inject(batch, faults).pictures
    assert torch.equal(damaged, inject(batch, faults).pictures)
    changed = [not torch.equal(damaged[index], source.pixels[index]) for index in range(3)]
    assert changed == [False, True, False]


def test_without_faults_it_is_the_very_same_batch() -> None:
    source = make_batch(2)
    batch = StyledBatch(source, source.pixels, (None,) * 2)
    assert inject(batch, parse_faults("noise@50")) is batch
