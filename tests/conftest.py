"""What holds for every test: computing takes one thread, since tests run beside each other, one process per core."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
