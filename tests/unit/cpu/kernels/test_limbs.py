"""A row in limbs times weights of four to six bits is as exact as in float32, whatever it holds; no byte more is read.

On processors without the instructions for it the same holds of what they do instead.
"""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from dequantised import wide
from torch import Tensor

from inference_server.cpu.kernels.layouts import LAYOUTS
from inference_server.cpu.kernels.limbs import GROUP, HALVES, STEP
from inference_server.cpu.packed_linear import CODES, PackedLinear, random_blocks

KINDS = [kind for kind, code in CODES.items() if code in HALVES]
WIDTHS = {32: (32, 96, 128, 160, 576, 960), 256: (256, 768)}
CASES = [(kind, width) for kind in KINDS for width in WIDTHS[LAYOUTS[CODES[kind]][0]]]
AS_EXACT = 2.0**-20  # of the sum of the row's sizes times the largest weights near by
BEHIND = """
import ctypes, mmap
import torch
from inference_server.cpu.packed_linear import PackedLinear, random_blocks

libc, page = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE
for count in range(1, {most} + 1):
    blocks = random_blocks({kind!r}, 8, count)
    room = mmap.mmap(-1, (blocks.numel() // page + 2) * page)
    end = len(room) - page
    behind = ctypes.addressof(ctypes.c_char.from_buffer(room)) + end
    assert libc.mprotect(ctypes.c_void_p(behind), ctypes.c_size_t(page), 0) == 0
    last = torch.frombuffer(room, dtype=torch.uint8, count=blocks.numel(), offset=end - blocks.numel())
    last = last.view(blocks.shape).copy_(blocks)
    x = torch.ones(1, count * {numbers})
    assert torch.equal(PackedLinear({kind!r}, last, None)(x), PackedLinear({kind!r}, blocks, None)(x))
print("read")
"""


def layer(kind: str, width: int) -> tuple[PackedLinear, Tensor]:
    blocks = random_blocks(kind, 13, width // LAYOUTS[CODES[kind]][0], seed=width)
    return PackedLinear(kind, blocks, None), wide(kind, blocks)


def rows(width: int) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(width)
    plain = torch.randn(1, width, generator=draw)
    outlier, uneven = plain.clone(), plain * torch.logspace(-30, 30, width)
    outlier[0, width // 2] = 1e6
    last = torch.zeros(1, width)
    last[0, -1] = 1.0
    full = torch.full((1, width), 2.0**24 - 1) - torch.randint(2**18, (1, width), generator=draw)
    return {
        "plain": plain,
        "outlier": outlier,
        "uneven": uneven,
        "last alone": last,
        "tiny": plain * 1e-36,
        "negative": -plain.abs(),
        "full mantissas": full * torch.randn(1, width, generator=draw).sign(),
        "the fullest": torch.full((1, width), 2.0**24 - 1),
    }


@pytest.mark.parametrize(("kind", "width"), CASES)
def test_products_are_as_exact_as_float32(kind: str, width: int) -> None:
    own, exact = layer(kind, width)
    largest = exact.abs().view(len(exact), -1, GROUP).amax(2, keepdim=True).expand(-1, -1, GROUP).reshape(exact.shape)
    for name, x in rows(width).items():
        error = (own(x).double() - x.double() @ exact.T).abs() / (x.double().abs() @ largest.T)
        least = 1e-30 * width if name == "tiny" else 0.0  # a group of such numbers counts as zeros
        assert float(error.max()) <= AS_EXACT or float(own(x).abs().max()) <= least, name
    assert torch.equal(own(torch.zeros(1, width)), torch.zeros(1, 13))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_broken_rows_are_not_mended(kind: str, bad: float) -> None:
    own, _ = layer(kind, 256)
    for place in (0, 31, 200):
        x = torch.ones(1, 256)
        x[0, place] = bad
        assert not np.isfinite(own(x).numpy()).any()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_behind_the_weights_is_read(kind: str) -> None:
    script = BEHIND.format(kind=kind, most=STEP // GROUP, numbers=LAYOUTS[CODES[kind]][0])
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout.endswith("read\n"), (found.returncode, found.stderr[-500:])
