"""Checks how a quantised checkpoint's scales lie over its weights, before transformers multiplies them.

transformers infers a block's size from the number of scales, which is another size where blocks don't divide a matrix.
"""

from collections.abc import Mapping
from typing import Any

from inference_server.errors import LoadFailed
from inference_server.models.safetensors_header import Tensor, short

SCALES = ("weight_scale_inv", "scale")
DEFAULT_BLOCK = (128, 128)


def check(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raises LoadFailed for a quantisation that would be multiplied out wrongly. `described`: config.json's."""
    method = described.get("quant_method")
    if method == "fp8":
        block = described.get("weight_block_size", DEFAULT_BLOCK)
        _check_blocks(tuple(block) if isinstance(block, list | tuple) else block and (block,), tensors)
    elif method == "compressed-tensors":
        groups = described.get("config_groups") or {}
        dense = [name for name, group in groups.items() if not _is_for_experts(group)]
        if len(dense) > 1:
            raise LoadFailed(
                f"its weights are quantised in {len(dense)} ways ({', '.join(map(short, dense))}), which transformers "
                "doesn't tell apart; choose a checkpoint with one, or the model's unquantised form"
            )


def _check_blocks(block: Any, tensors: Mapping[str, Tensor]) -> None:
    if block is not None and not (len(block) == 2 and all(type(step) is int and step > 0 for step in block)):
        raise LoadFailed(f"config.json says weight_block_size: {short(repr(block))}; it has to be two sizes")
    for name, scale in tensors.items():
        owner, _, last = name.rpartition(".")
        weight = tensors.get(f"{owner}.weight")
        if last not in SCALES or weight is None or weight.kind != "F8_E4M3":
            continue
        if scale.elements == 1:
            continue
        if block is None or len(scale.shape) != 2 or len(weight.shape) != 2:
            raise LoadFailed(f"config.json does not fit the weights: {short(name)} has a shape of {[*scale.shape]}")
        for size, count, step in zip(weight.shape, scale.shape, block, strict=True):
            if count * step != size and not (count == 1 and size <= step):
                raise LoadFailed(
                    f"its weights are quantised in blocks of {' x '.join(map(str, block))}, which don't divide "
                    f"{short(owner)}.weight of {' x '.join(map(str, weight.shape))}: transformers would multiply it "
                    "out wrongly; choose the model's unquantised form"
                )


def _is_for_experts(group: Any) -> bool:
    targets = group.get("targets") if isinstance(group, Mapping) else None
    return any(str(target).startswith("re:") and "experts" in str(target) for target in targets or ())
