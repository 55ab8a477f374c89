"""How much memory is left, from files as Linux writes them, and how it is shared out."""

import platform
from array import array
from pathlib import Path

import psutil
import pytest

from inference_server.host import memory

MIB = 2**20
MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8388608 kB\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),  # no Linux
        ({"proc/meminfo": MEMINFO}, 8192 * MIB),
        (
            {  # version 2: a limit, of which file pages could be given back
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/box/memory.max": f"{1000 * MIB}\n",
                "sys/fs/cgroup/pod/box/memory.current": f"{400 * MIB}\n",
                "sys/fs/cgroup/pod/box/memory.stat": f"anon 1\ninactive_file {100 * MIB}\n",
            },
            700 * MIB,
        ),
        (
            {  # the limit of a group around it counts too
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/box/memory.max": "max\n",
                "sys/fs/cgroup/pod/box/memory.current": f"{400 * MIB}\n",
                "sys/fs/cgroup/pod/memory.max": f"{500 * MIB}\n",
                "sys/fs/cgroup/pod/memory.current": f"{450 * MIB}\n",
            },
            50 * MIB,
        ),
        (
            {  # as a container sees it: its own group at the root
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": f"{300 * MIB}\n",
                "sys/fs/cgroup/memory.current": f"{100 * MIB}\n",
            },
            200 * MIB,
        ),
        (
            {  # version 1
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "5:cpu:/a\n4:memory:/a\n0::/\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{600 * MIB}\n",
                "sys/fs/cgroup/memory/a/memory.usage_in_bytes": f"{500 * MIB}\n",
                "sys/fs/cgroup/memory/a/memory.stat": f"total_inactive_file {50 * MIB}\n",
            },
            150 * MIB,
        ),
        (
            {  # more used than allowed
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "100\n",
                "sys/fs/cgroup/memory.current": "200\n",
            },
            0,
        ),
    ],
)
def test_what_is_left(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    assert memory.available(write(tmp_path, files)) == expected


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="no Linux")
def test_this_machine_has_some() -> None:
    left = memory.available()
    assert left is not None
    assert left > 0


@pytest.mark.parametrize(("total", "others"), [(0, 0), (7, 1), (2048 * MIB, 0), (2048 * MIB, 1), (10**9 + 7, 3)])
def test_shares_never_exceed_the_whole(total: int, others: int) -> None:
    shares = memory.divide(total, others)
    used = shares.distributions + shares.stored_by_bundled + others * shares.stored_by_each
    assert total - max(1, others) < used <= total
    assert shares.distributions == total // 8


def test_the_bundled_model_leaves_most_to_others() -> None:
    alone, beside = memory.divide(2048 * MIB, 0), memory.divide(2048 * MIB, 1)
    assert alone.stored_by_bundled == 1792 * MIB
    assert (beside.stored_by_bundled, beside.stored_by_each) == (112 * MIB, 1680 * MIB)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_was_freed_is_handed_back() -> None:
    """Pieces too small to be mapped by themselves, below one that stays: the C library keeps them until asked."""
    process = psutil.Process()
    pieces = [bytearray(b"x" * 60_000) for _ in range(3_000)]
    last = bytearray(b"x" * 60_000)
    del pieces
    before = process.memory_info().rss
    memory.give_back()
    assert process.memory_info().rss < before - 100_000_000
    assert len(last) == 60_000


PARTS = [  # first and last page, rights, file
    (0x10, 0x12, "r--p", "1    /opt/libllvmlite.so"),
    (0x13, 0x18, "r-xp", "1    /opt/libllvmlite.so"),
    (0x19, 0x1A, "r--p", "1    /opt/libllvmlite.so"),
    (0x1B, 0x1B, "rw-p", "1    /opt/libllvmlite.so"),
    (0x1C, 0x1C, "r-xp", "2    /opt/libtorch_cpu.so"),
    (0x1D, 0x1E, "r--p", "1    /opt/libllvmlite.so"),
    (0x1F, 0x1F, "rw-p", "0"),
]
IN_MEMORY, SWAPPED, OF_A_FILE = 1 << 63, 1 << 62, 1 << 61


def test_what_a_library_has_changed_or_may_change_stays_in_memory(tmp_path: Path) -> None:
    pages, size = [0] * 0x20, memory.PAGE
    pages[0x11], pages[0x13] = IN_MEMORY | OF_A_FILE, IN_MEMORY | OF_A_FILE | 0x123
    pages[0x19], pages[0x1A] = IN_MEMORY | OF_A_FILE, IN_MEMORY
    pages[0x1E] = SWAPPED
    maps = [f"{a * size:x}-{(z + 1) * size:x} {rights} 0 fe:00 {file}\n" for a, z, rights, file in PARTS]
    (tmp_path / "maps").write_text("".join(maps))
    (tmp_path / "pagemap").write_bytes(array("Q", pages).tobytes())
    assert list(memory.untouched("libllvmlite", tmp_path)) == [(0x10 * size, 3 * size), (0x13 * size, 6 * size)]


@pytest.mark.skipif(platform.system() != "Linux", reason="other systems don't tell of a library's pages")
def test_numbas_compiler_goes_and_comes_back() -> None:
    import numba

    def twice(x: int) -> int:
        return 2 * x

    assert numba.njit(twice)(3) == 6
    before = psutil.Process().memory_info().rss
    memory.give_back()
    assert before - psutil.Process().memory_info().rss > 20 * MIB
    assert numba.njit(twice)(4) == 8
