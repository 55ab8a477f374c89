"""What config.json may say, held against every configuration of a causal language model that transformers knows."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from inference_server.errors import LoadFailed
from inference_server.models import checkpoint
from inference_server.runtime import architecture
from inference_server.runtime.model import Model

KINDS = [
    kind
    for kind in transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if kind not in ("gemma4_assistant", "gemma4_unified_assistant")  # drafts for another model: none by default
]
BOTH = {"musicgen", "musicgen_melody", "marian", "whisper", "bart", "mbart", "pegasus", "plbart", "mvp", "prophetnet"}
BOTH |= {"bigbird_pegasus", "blenderbot", "blenderbot-small"}
"""Those of an encoder and a decoder."""
ENDLESS = {"bloom", "cpmant", "falcon_mamba", "mamba", "mamba2", "recurrent_gemma", "xlnet", "xlstm"}
"""Those whose configuration names no longest text."""


def write(folder: Path, kind: str, **changes: Any) -> None:
    config = transformers.CONFIG_MAPPING[kind]()
    (folder / "config.json").write_text(json.dumps({**json.loads(config.to_json_string()), **changes}))


@pytest.mark.parametrize("kind", KINDS)
def test_what_transformers_writes_is_read_and_an_encoder_decoder_is_refused(tmp_path: Path, kind: str) -> None:
    write(tmp_path, kind)
    if kind in BOTH:
        with pytest.raises(LoadFailed, match="not a causal LM: an encoder-decoder"):
            architecture.configuration(tmp_path)
    else:
        config = architecture.configuration(tmp_path)
        assert type(config) is transformers.CONFIG_MAPPING[kind]
        stated = checkpoint.context_limit(config.get_text_config(decoder=True), tmp_path)
        assert (stated == checkpoint.UNSTATED_CONTEXT) == (kind in ENDLESS) or stated == 32_768


def test_an_encoder_decoder_that_does_not_say_so_is_known_by_its_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(LoadFailed, match="not a causal LM: an encoder-decoder"):
        architecture.configuration(tmp_path)


@pytest.mark.parametrize(
    ("kind", "stated", "limit"),
    [
        ("llama", {"max_position_embeddings": 100}, 100),
        ("gpt2", {"n_positions": 100}, 100),
        ("mpt", {"max_seq_len": 100}, 100),
        ("rwkv", {"context_length": 100}, 100),
        ("bloom", {"seq_length": 100}, 100),
        ("mamba", {"max_sequence_length": 100}, 100),
        ("mamba2", {"max_seq_length": 100}, 100),
        ("falcon_mamba", {"model_max_length": 100}, 100),
        ("whisper", {"is_encoder_decoder": False, "max_target_positions": 100, "max_source_positions": 1500}, 100),
        ("mamba", {"max_seq_len": -1}, 32_768),
        ("mamba", {"max_seq_len": True}, 32_768),
        ("mamba", {"max_seq_len": "100"}, 32_768),
        ("mamba", {"max_seq_len": 1e30}, 32_768),
    ],
)
def test_the_longest_text_whatever_it_is_called(tmp_path: Path, kind: str, stated: dict[str, Any], limit: int) -> None:
    write(tmp_path, kind, **stated)
    config = architecture.configuration(tmp_path)
    assert checkpoint.context_limit(config.get_text_config(decoder=True), tmp_path) == limit


@pytest.mark.parametrize(
    ("kind", "sizes", "limit"),
    [
        ("Roberta", {"hidden_size": 32, "intermediate_size": 48, "is_decoder": True, "pad_token_id": 1}, 62),
        ("OPT", {"hidden_size": 32, "ffn_dim": 48, "word_embed_proj_dim": 32}, 64),
        ("Bert", {"hidden_size": 32, "intermediate_size": 48, "is_decoder": True}, 64),
        ("BioGpt", {"hidden_size": 32, "intermediate_size": 48}, 64),
    ],
)
def test_the_longest_prompt_is_one_that_the_network_can_place(
    tmp_path: Path, kind: str, sizes: dict[str, Any], limit: int
) -> None:
    """Roberta's table of positions has two rows that no token takes."""
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=300, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, **sizes
    )
    getattr(transformers, f"{kind}ForCausalLM" if kind != "Bert" else "BertLMHeadModel")(config).save_pretrained(
        tmp_path
    )
    model = Model.load(tmp_path, "cpu")
    assert model.capabilities.context_limit == limit
    assert len(model.whole_pass.last_logits([7] * limit)) == 300
    with pytest.raises((IndexError, RuntimeError)):
        model.whole_pass.last_logits([7] * (limit + 1))
