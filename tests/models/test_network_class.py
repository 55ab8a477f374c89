"""Image-text checkpoints: which of transformers' types answer, and that they do as the whole network does on text."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from inference_server.errors import LoadFailed
from inference_server.runtime import architecture, meta_kernels, network_class, weight_loader
from inference_server.runtime.model import Model
from inference_server.runtime.network_class import ALONE, CAUSAL, IMAGE_TEXT, REFUSED, NotForText
from models import image_text

ENCODER_DECODERS = {"florence2", "pix2struct", "pp_formulanet", "t5gemma2", "udop", "vision-encoder-decoder"}
LOADABLE = [kind for kind in image_text.KINDS if kind not in {*ENCODER_DECODERS, *REFUSED}]
BIG = {"inkling_mm_model", "dots3_note"}
"""Those whose vision can't be made small without scipy, or whose layers each have their own sizes."""
TRIED = (
    *("gemma3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava", "mistral3", "internvl", "idefics3"),
    *("aya_vision", "blip-2", "fast_vlm", "llama4", "git", "chameleon", "qwen3_5"),
)
USUAL = {"llava": "LlamaForCausalLM", "mistral3": "MistralForCausalLM", "internvl": "Qwen2ForCausalLM"}
IDS = list(range(3, 43))


def build(kind: str) -> Any:
    """The whole network, images included."""
    torch.manual_seed(len(kind))
    config = image_text.configuration(kind)
    with network_class._without_timm():
        network: Any = IMAGE_TEXT[type(config)]._from_config(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, image_text.SPREAD)
    return network


def without_memory(config: Any) -> Any:
    with torch.device("meta"):
        return network_class.create(config)


@pytest.mark.parametrize("kind", TRIED)
def test_the_text_part_answers_as_the_whole_network_on_text_alone(tmp_path: Path, kind: str) -> None:
    whole = build(kind)
    whole.save_pretrained(tmp_path)
    with torch.inference_mode():
        answering = getattr(whole, ALONE[kind]) if kind in ALONE else whole
        expected = answering(input_ids=torch.tensor([IDS]), use_cache=False).logits[0]
    loaded = Model.load(tmp_path, "cpu", 1 << 20)
    found: list[torch.Tensor] = []
    loaded.whole_pass.each_logits(IDS, lambda rows: found.append(rows.clone()))
    torch.testing.assert_close(torch.cat(found).softmax(-1), expected.softmax(-1), atol=1e-4, rtol=0)
    assert float(expected.softmax(-1).max()) > 0.02
    held = sum(each.numel() for each in loaded.network.parameters())
    assert held == loaded.facts.parameters < sum(each.numel() for each in whole.parameters())
    assert type(loaded.network).__name__ == USUAL.get(kind, type(loaded.network).__name__)


@pytest.mark.parametrize("kind", [kind for kind in LOADABLE if kind not in BIG])
def test_what_remains_computes_text_and_no_image(kind: str) -> None:
    """Of every type: the decoder, the layer of logits, and nothing in which an image would be looked at."""
    network = meta_kernels.built(lambda: without_memory(image_text.configuration(kind)))
    gone = [name for name, part in network.named_modules() if isinstance(part, NotForText)]
    text_alone = {"mistral4", "gemma4", "gemma4_unified"}  # no images at all, or none by default
    assert bool(gone) == (kind not in text_alone)
    left = " ".join(name for name, _ in network.named_parameters())
    assert not [word for word in ("vision_tower", "vision_model", "visual.", "image_encoder") if word in left]
    assert network.get_input_embeddings() is not None
    decoder = network.get_decoder()
    assert sum(each.numel() for each in decoder.parameters()) > 0
    assert not any(isinstance(part, NotForText) for part in (network.get_output_embeddings(), decoder))


@pytest.mark.parametrize("kind", image_text.KINDS)
def test_each_type_is_accepted_or_refused_with_a_reason(tmp_path: Path, kind: str) -> None:
    transformers.CONFIG_MAPPING[kind]().save_pretrained(tmp_path)
    if kind in LOADABLE:
        assert architecture.configuration(tmp_path).model_type == kind
        return
    words = REFUSED.get(kind, "an encoder-decoder")
    with pytest.raises(LoadFailed, match=rf"^not a causal LM: {words}"):
        architecture.configuration(tmp_path)


def test_a_part_for_images_that_text_needs_is_named() -> None:
    with pytest.raises(LoadFailed, match="it needs its vision_tower even for text"):
        NotForText("vision_tower")(torch.ones(1))


def test_the_usual_class_is_not_taken_where_its_numbers_differ() -> None:
    """Aya Vision leaves out the scale that its language model's own class applies to the logits."""
    whole = build("aya_vision")
    assert type(whole.get_decoder()).__name__ == "Cohere2Model"
    assert type(whole.config.text_config) in CAUSAL
    assert network_class.text_part(whole) is whole


def test_images_are_not_counted_in_the_memory_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build("llava")
    whole.save_pretrained(tmp_path)
    asked: list[int] = []
    monkeypatch.setattr(weight_loader, "check_room", lambda needed, place: asked.append(needed))
    loaded = Model.load(tmp_path, "cpu")
    text = sum(each.numel() for each in loaded.network.parameters())
    eyes = sum(each.numel() for each in whole.model.vision_tower.parameters())
    assert 4 * text <= asked[0] < 4 * (text + eyes)
    assert isinstance(loaded.network.lm_head, nn.Linear)
