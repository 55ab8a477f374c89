"""Which of transformers' classes computes a checkpoint. Of an image-text model, only the part that computes text.

An image-text network is built whole and stripped of what text never passes through: its weights are neither read nor
counted. What remains is the network's own code on text alone, so its numbers need no table of renamed weights.
"""

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import transformers
from torch import nn
from transformers import PreTrainedConfig, initialization
from transformers.models.auto import modeling_auto

from inference_server.errors import LoadFailed
from inference_server.runtime import meta_kernels

IMAGE_TEXT: Any = transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
KINDS = frozenset(modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
"""The model_types of image-text models."""
CAUSAL: Any = transformers.MODEL_FOR_CAUSAL_LM_MAPPING
REFUSED = {
    "diffusion_gemma": "it fills in whole blocks of text by diffusion and has no next token",
    "idefics": "it computes nothing without an image",
    "paligemma": "it reads prompts in both directions: later tokens change what it says of earlier ones",
    "pi0": "it steers robots: its answers are movements, not tokens",
    "shieldgemma2": "it sorts images into classes and has no next token",
}
"""Image-text models that can't answer from text alone, and why."""
ALONE = {
    "blip": "text_decoder",
    "blip-2": "language_model",
    "instructblip": "language_model",
    "instructblipvideo": "language_model",
    "kosmos-2": "text_model",
}
"""Those that demand an image, with a causal LM inside that doesn't: that one answers."""
BLIND = {
    "chameleon": ("model.vqmodel",),
    "evolla": ("model.protein_encoder",),
    "git": ("git.image_encoder", "git.visual_projection"),
}
"""Parts that text never passes through, inside what transformers calls the decoder."""
SEEING = {"gemma3n": ("model.embed_vision", "model.embed_audio")}
"""Parts beside the decoder that it looks up some of its tokens in."""


class NotForText(nn.Module):
    """Where a part for images was."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def forward(self, *_: Any, **__: Any) -> Any:
        """Raises LoadFailed: the models are tried out when they are loaded."""
        raise LoadFailed(f"it needs its {self._name} even for text; models that need images are not supported")


def check_kind(kind: str) -> None:
    """Raises LoadFailed unless transformers has a network for a model_type that says what token comes next."""
    config = transformers.CONFIG_MAPPING[kind]
    if kind in REFUSED:
        raise LoadFailed(f"not a causal LM: {REFUSED[kind]}")
    if config not in CAUSAL and kind not in KINDS:
        raise LoadFailed(f"not a causal LM: transformers knows no next-token head for model_type {kind!r}")


def is_image_text(config: PreTrainedConfig) -> bool:
    """Whether a configuration's network also takes images."""
    return config.model_type in KINDS


def network_class(config: PreTrainedConfig) -> Any:
    """The class to build and load: AutoModelForCausalLM, or an image-text class without its parts for images."""
    if not is_image_text(config):
        return transformers.AutoModelForCausalLM
    whole, text = IMAGE_TEXT[type(config)], CAUSAL.get(type(config), None)
    if text is not None and text is not whole and [text.__name__] == config.architectures:
        return transformers.AutoModelForCausalLM

    def build(self: Any, *args: Any, **kwargs: Any) -> None:
        with _without_timm():
            whole.__init__(self, *args, **kwargs)
        _strip(self)

    return type(whole.__name__, (whole,), {"__init__": build, "__module__": whole.__module__})


def create(config: PreTrainedConfig) -> Any:
    """A network of random weights, or of none on the meta device."""
    found = network_class(config)
    build = found.from_config if found is transformers.AutoModelForCausalLM else found._from_config
    return build(config)


def text_part(network: Any) -> Any:
    """The network that answers: itself, or the causal LM in it if that gives the same numbers, or is all that can.

    The same layers behind their usual class can use what is compiled for that class.
    """
    config = network.config
    if not is_image_text(config):
        return network
    inner = ALONE.get(config.model_type)
    if inner is not None:
        return getattr(network, inner)
    causal = _causal(network)
    return causal if causal is not None and _agree(network, causal) else network


def _strip(network: Any) -> None:
    """Takes out what neither contains nor is part of the decoder or the layer of logits."""
    kept = (network.get_decoder(), network.get_output_embeddings(), network.get_input_embeddings())
    kind = network.config.model_type
    wanted = {id(part) for part in (*kept, *map(network.get_submodule, SEEING.get(kind, ()))) if part is not None}

    def strip(module: nn.Module) -> None:
        for name, child in list(module.named_children()):
            if id(child) in wanted:
                continue
            if any(id(part) in wanted for part in child.modules()):
                strip(child)
            elif next(child.parameters(), None) is not None:
                setattr(module, name, NotForText(name))

    strip(network)
    for path in BLIND.get(kind, ()):
        owner, _, name = path.rpartition(".")
        setattr(network.get_submodule(owner), name, NotForText(name))
    gone = [name for name, part in network.named_modules() if isinstance(part, NotForText)]
    ignored = getattr(network, "_keys_to_ignore_on_load_unexpected", None) or ()
    network._keys_to_ignore_on_load_unexpected = {*ignored, *(rf"^{re.escape(name)}\." for name in gone)}
    present = network.state_dict().keys()
    network.all_tied_weights_keys = {
        target: source
        for target, source in (getattr(network, "all_tied_weights_keys", None) or {}).items()
        if target in present and source in present
    }


def _causal(network: Any) -> Any:
    """The network's decoder and head as the causal LM of its text configuration; None if there is no such class."""
    decoder, head = network.get_decoder(), network.get_output_embeddings()
    config = network.config.get_text_config(decoder=True)
    if type(config) not in CAUSAL or not isinstance(head, nn.Module):
        return None
    causal = meta_kernels.built(partial(_without_memory, CAUSAL[type(config)], config))
    prefix = causal.base_model_prefix
    if type(causal.get_output_embeddings()) is not type(head) or type(getattr(causal, prefix, None)) is not type(
        decoder
    ):
        return None
    setattr(causal, prefix, decoder)
    causal.set_output_embeddings(head)
    if any(tensor.is_meta for tensor in (*causal.parameters(), *causal.buffers())):
        return None
    return causal.eval()


def _without_memory(kind: Any, config: PreTrainedConfig) -> Any:
    with torch.device("meta"), initialization.no_init_weights():
        return kind._from_config(config)


@torch.inference_mode()
def _agree(network: Any, causal: Any) -> bool:
    """Whether both give the same logits, also where tokens stand for images."""
    rows = network.get_input_embeddings().weight.shape[0]
    named = [value for name, value in network.config.to_dict().items() if "token" in name and type(value) is int]
    marks = [each for each in (*named, rows - 1, rows - 2, rows // 2) if 0 <= each < rows]
    plain = [7 * at % rows for at in range(1, 41)]
    for prompt in (plain[:1], plain, [*plain[:4], *marks]):
        ids = torch.tensor([prompt], device=network.device)
        some, others = (each(input_ids=ids, use_cache=False).logits for each in (network, causal))
        if some.shape != others.shape or not torch.equal(some, others):
            return False
    return True


@contextlib.contextmanager
def _without_timm() -> Iterator[None]:
    """Within, a tower for images from the timm package, which isn't installed here, is an empty module."""
    automatic: Any = transformers.AutoModel
    own, create_any = vars(automatic)["from_config"], automatic.from_config

    def from_config(config: PreTrainedConfig, *args: Any, **kwargs: Any) -> Any:
        found = transformers.MODEL_MAPPING.get(type(config), None)
        if getattr(found, "__name__", None) != "TimmWrapperModel":
            return create_any(config, *args, **kwargs)
        tower = NotForText("vision_tower")
        tower.config = config  # type: ignore[assignment]
        return tower

    automatic.from_config = from_config
    try:
        yield
    finally:
        automatic.from_config = own
