"""Which device computes: one, or all GPUs of this machine together."""

from dataclasses import dataclass

import torch

from inference_server.errors import LoadFailed

ALL = "cuda:all"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a network's tensors go. With `several`, `device` is the GPU that takes prompts and gives logits."""

    device: torch.device
    several: bool = False

    def __str__(self) -> str:
        """As in a model's facts."""
        return ALL if self.several else str(self.device)

    @property
    def free_bytes(self) -> int | None:
        """What a GPU has free, or all of them; None on other devices."""
        if self.device.type != "cuda":
            return None
        gpus = range(torch.cuda.device_count()) if self.several else [self.device]
        return sum(torch.cuda.mem_get_info(each)[0] for each in gpus)


def find(asked: str) -> Place:
    """The device of a setting: auto, cpu, cuda, cuda:all or mps. Raises LoadFailed if this machine has none."""
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name, usable_here in usable.items() if usable_here) if asked == "auto" else asked
    if name == ALL:
        if not usable["cuda"]:
            raise LoadFailed(
                f"NEXTTOKEN_DEVICE is {ALL}, and this machine has no CUDA GPU to spread a model over; set it to auto "
                "or cpu, where a model has to fit into main memory, or choose a smaller or a GGUF model"
            )
        return Place(torch.device("cuda", 0), several=True)
    if not usable[name]:
        raise LoadFailed(f"{name.upper()} is not available on this machine; set NEXTTOKEN_DEVICE to auto or cpu")
    return Place(torch.device(name, 0) if name == "cuda" else torch.device(name))
