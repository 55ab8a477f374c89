"""Doing one thing again and again, where nothing can be recorded: on a CPU. On a GPU: `make bench-gpu`."""

import torch

from inference_server.gpu.cuda_graph import free_bytes, recorder, repeated

CPU = torch.device("cpu")


def test_a_cpu_records_nothing_and_takes_no_memory_for_it() -> None:
    assert recorder(CPU) is repeated
    assert free_bytes(CPU) is None


def test_each_time_reads_what_lies_there_and_overwrites_what_it_gave() -> None:
    number = torch.ones(1)
    again = recorder(CPU)(lambda: number + 1)
    first = again()
    assert first.item() == 2
    number += 5
    assert again() is first
    assert first.item() == 7
