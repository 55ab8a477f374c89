"""What lies in the files and nobody reads: harmless, or a sign that the rest are no numbers."""

import pytest

from inference_server.errors import LoadFailed
from inference_server.models.safetensors_header import Tensor
from inference_server.models.unread_tensors import check_kinds, check_unread

READ = ["model.layers.0.mlp.weight", "model.layers.1.mlp.weight", "lm_head.weight"]


@pytest.mark.parametrize("kind", ["U8", "I8", "I32", "F8_E4M3", "F4"])
def test_packed_weights_are_named(kind: str) -> None:
    with pytest.raises(LoadFailed, match=f"quantised \\(a is {kind}\\)"):
        check_kinds({"a": Tensor(kind, (2,), 0, 2)}, whole=())


@pytest.mark.parametrize(
    "tensor", [Tensor("BF16", (2,), 0, 4), Tensor("I64", (2,), 0, 16), Tensor("U8", (1, 1, 4, 4), 0, 16)]
)
def test_plain_weights_and_masks_pass(tensor: Tensor) -> None:
    check_kinds({"a": tensor}, whole=())


def test_so_do_whole_numbers_of_the_network_itself() -> None:
    check_kinds({"a": Tensor("I32", (2,), 0, 8)}, whole={"a"})


@pytest.mark.parametrize("name", ["model.layers.0.mlp.weight_scale", "lm_head.qweight", "lm_head.SCB"])
def test_companions_of_what_was_read_are_named(name: str) -> None:
    with pytest.raises(LoadFailed, match=name):
        check_unread([name], READ, more_layers=True)


@pytest.mark.parametrize("name", ["vision.weight_scale", "model.layers.0.mlp.rotary.inv_freq", "lm_head.bias"])
def test_leftovers_pass(name: str) -> None:
    check_unread([name], READ, more_layers=False)


def test_a_layer_that_nothing_reads_is_named_unless_more_are_meant() -> None:
    check_unread(["model.layers.2.mlp.weight"], READ, more_layers=True)
    with pytest.raises(LoadFailed, match="fewer layers"):
        check_unread(["model.layers.2.mlp.weight"], READ, more_layers=False)
