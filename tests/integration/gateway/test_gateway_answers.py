"""What is asked over HTTP reaches the engine as meant, and its answer comes back as the contract's JSON."""

import base64
from typing import Any

import pytest

from inference_server import compare_messages, messages
from inference_server.layer_messages import LayersQuery

pytestmark = pytest.mark.asyncio(loop_scope="module")

FULL = {
    "text": "hé",
    "top_k": 2,
    "temperature": 0,
    "model": "bundled",
    "top_p": 0.5,
    "min_p": 0.25,
    "watch_token_ids": [200],
    "draws": [0, 0.999],
    "include_prompt_tokens": True,
    "include_partition": True,
}


async def test_the_whole_answer(tiers: Any) -> None:
    answer = await tiers.web.post("/api/next-token", json=FULL)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body.pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    drawn = {
        "token_id": 170,
        "text": None,
        "bytes": "qg==",
        "is_special": False,
        "rank": 1,
        "logit": -0.6931471824645996,
    }
    drawn |= {"probability": 0.5, "logprob": -0.6931471805599453}
    assert body == {
        "model": "bundled",
        "prompt": {
            "token_count": 3,
            "cached_tokens": 0,
            "context_limit": 64,
            "tokens": [
                {"token_id": 104, "text": "h", "bytes": "aA==", "is_special": False},
                {"token_id": 195, "text": None, "bytes": "ww==", "is_special": False},
                {"token_id": 169, "text": None, "bytes": "qQ==", "is_special": False},
            ],
        },
        "candidates": [
            drawn,
            {
                **drawn,
                "token_id": 171,
                "bytes": "qw==",
                "rank": 2,
                "logit": -1.3862943649291992,
                "probability": 0.25,
                "logprob": -1.3862943611198906,
            },
        ],
        "watched": [
            {
                **drawn,
                "token_id": 200,
                "bytes": "yA==",
                "rank": 7,
                "logit": -4.852030277252197,
                "probability": 0.0078125,
                "logprob": -4.852030263919617,
            }
        ],
        "drawn": [drawn, drawn],
        "kept": {"count": 256, "probability": 1.0},
        "partition": [{"inverse_temperature": 1.0, "log_sum_exp": 2.0, "mean_logit": 3.0, "variance": 4.0}],
        "partition_at_zero": {"inverse_temperature": 0.0, "log_sum_exp": 5.0, "mean_logit": 6.0, "variance": 7.0},
        "other_probability": 0.25,
        "entropy_bits": 2.0,
        "vocab_size": 256,
        "lookahead_hit": False,
    }


async def test_the_engine_is_asked_what_the_browser_asked(tiers: Any) -> None:
    await tiers.web.post("/api/next-token", json=FULL)
    assert tiers.engine.queries == [
        messages.TopKQuery(
            text="hé",
            top_k=2,
            temperature=0.0,
            top_p=0.5,
            min_p=0.25,
            watch_token_ids=(200,),
            draws=(0.0, 0.999),
            include_prompt_tokens=True,
            include_partition=True,
        )
    ]


async def test_what_is_left_out_has_the_engines_defaults(tiers: Any) -> None:
    answer = (await tiers.web.post("/api/next-token", json={"token_ids": [7, 8]})).json()
    assert tiers.engine.queries == [messages.TopKQuery(token_ids=(7, 8))]
    assert "tokens" not in answer["prompt"]
    assert (answer["watched"], answer["drawn"], answer["partition"]) == ([], [], [])
    assert "partition_at_zero" not in answer
    assert len(answer["candidates"]) == 10


async def test_parts_arrive_as_text_and_ids_in_turn(tiers: Any) -> None:
    body = {"parts": [[7, 8], "hé", [], ""], "include_prompt_tokens": True}
    answer = await tiers.web.post("/api/next-token", json=body)
    assert tiers.engine.queries == [messages.TopKQuery(parts=((7, 8), "hé", (), ""), include_prompt_tokens=True)]
    assert [token["token_id"] for token in answer.json()["prompt"]["tokens"]] == [7, 8, *"hé".encode()]


async def test_empty_prompts_are_passed_on(tiers: Any) -> None:
    prompts: list[dict[str, Any]] = [{"text": ""}, {"token_ids": []}]
    for prompt in prompts:
        answer = await tiers.web.post("/api/next-token", json={**prompt, "include_prompt_tokens": True})
        assert [token["token_id"] for token in answer.json()["prompt"]["tokens"]] == [0]
    assert [(query.text, query.token_ids) for query in tiers.engine.queries] == [("", None), (None, ())]


@pytest.mark.parametrize("text", ["\x00\x1f\x7f", "👩‍👩‍👧‍👦", "\u2028\ufeff", '"\\</script>', "e\u0301", "\U0010ffff"])
async def test_any_text_arrives_whole(tiers: Any, text: str) -> None:
    answer = await tiers.web.post("/api/next-token", json={"text": text, "include_prompt_tokens": True})
    spelled = b"".join(base64.b64decode(token["bytes"]) for token in answer.json()["prompt"]["tokens"])
    assert spelled == text.encode()


async def test_score(tiers: Any) -> None:
    answer = (await tiers.web.post("/api/score", json={"text": "ab", "top_k": 1})).json()
    assert tiers.engine.queries == [messages.ScoreQuery(text="ab", top_k=1)]
    assert set(answer.pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    first, second = answer.pop("tokens")
    assert answer == {
        "model": "bundled",
        "total_logprob": -0.5,
        "perplexity": 1.5,
        "bits_per_byte": 0.25,
        "context_limit": 64,
    }
    numbers = ("rank", "logit", "probability", "logprob", "entropy_bits")
    assert [first[name] for name in numbers] == [None] * 5
    assert (first["text"], first["unconditioned"]) == ("a", True)
    assert [second[name] for name in ("rank", "probability", "entropy_bits")] == [1, 0.5, 1.0]
    assert (second["text"], second["unconditioned"], len(second["alternatives"])) == ("b", False, 1)


async def test_layers(tiers: Any) -> None:
    asked = {"text": "ab", "top_k": 1, "position": 1, "temperature": 0.5, "watch_token_ids": [9], "contrast": [3, 4]}
    asked |= {"include_attention": True, "include_prompt_tokens": True}
    answer = (await tiers.web.post("/api/layers", json=asked)).json()
    assert tiers.engine.queries == [
        LayersQuery(**{**asked, "watch_token_ids": (9,), "contrast": (3, 4)})  # type: ignore[arg-type]
    ]
    assert set(answer.pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    layers = answer.pop("layers")
    assert [token["text"] for token in answer.pop("prompt")["tokens"]] == ["a", "b"]
    assert answer == {
        "model": "bundled",
        "position": 1,
        "commitment": {"top1_layer": 1, "top3_layer": 0, "half_layer": None},
        "contributions": [{"layer": 1, "part": "mlp", "logit_difference": 0.25}],
        "logit_difference": 0.25,
        "before_soft_cap": True,
        "attention": [[[0.25, 0.25, 0.5], [0.25, 0.25, 0.5]]],
    }
    assert [(layer["layer"], layer["entropy_bits"], layer["kl_to_final_bits"]) for layer in layers] == [
        (0, 2.0, None),
        (1, 2.0, 0.0),
    ]
    assert [(layer["candidates"][0]["rank"], layer["watched"][0]["text"]) for layer in layers] == [(1, "\t")] * 2


async def test_layers_left_out_are_empty(tiers: Any) -> None:
    answer = (await tiers.web.post("/api/layers", json={"token_ids": [7, 8]})).json()
    assert tiers.engine.queries == [LayersQuery(token_ids=(7, 8))]
    assert "tokens" not in answer["prompt"]
    assert [answer[name] for name in ("contributions", "attention", "logit_difference")] == [[], [], None]
    assert (answer["position"], len(answer["layers"][0]["candidates"])) == (1, 10)


async def test_compare(tiers: Any) -> None:
    request = {"a": {"text": "h"}, "b": {"token_ids": [7], "temperature": 0, "top_p": 0.5, "min_p": 0.25}, "top_k": 1}
    answer = (await tiers.web.post("/api/compare", json=request)).json()
    assert tiers.engine.queries == [
        compare_messages.ComparedQuestion(text="h"),
        compare_messages.ComparedQuestion(token_ids=(7,), temperature=0.0, top_p=0.5, min_p=0.25),
    ]
    assert set(answer.pop("timings_ms")) == {"queue", "tokenize", "model", "total"}
    side = {
        "model": "bundled",
        "prompt": {"token_count": 1, "cached_tokens": 0, "context_limit": 64},
        "kept": {"count": 256, "probability": 1.0},
        "entropy_bits": 2.0,
        "vocab_size": 256,
    }
    token = {
        "token_id": 105,
        "text": "i",
        "bytes": "aQ==",
        "is_special": False,
        "a": {"token_id": 105, "rank": 1, "probability": 0.5, "logprob": -0.6931471805599453},
        "b": {"token_id": 205, "rank": 2, "probability": 0.0, "logprob": None},
    }
    assert answer == {
        "a": side,
        "b": side,
        "kl_a_b_bits": None,
        "kl_b_a_bits": 1.5,
        "js_bits": 0.25,
        "total_variation": 0.125,
        "candidates": [token],
        "gained": [],
        "lost": [token],
        "overlap": [0],
        "unmatched": {"a": 0.0, "b": 0.75},
        "matched_by_bytes": False,
    }
    more = (await tiers.web.post("/api/compare", json={**request, "top_k": 2, "include_prompt_tokens": True})).json()
    assert more["candidates"][1]["a"] is None
    assert [token["text"] for token in more["a"]["prompt"]["tokens"]] == ["h"]


async def test_models(tiers: Any) -> None:
    facts = {"parameters": 1234, "device": "cpu", "dtype": "float32", "vocab_size": 256, "context_limit": 64}
    bundled = {"name": "bundled", "state": "ready", "is_default": True, "bytes_done": 0, "bytes_total": 0, "reason": ""}
    marks: dict[str, Any] = {"end_of_text_ids": [0, 4], "prefix_token_ids": [0], "layers": 0}
    marks |= dict.fromkeys(("layers_refusal", "contrast_refusal", "attention_refusal", "chat_refusal"), "")
    bundled["facts"] = {**facts, "architecture": "FakeForCausalLM", "format": "", "note": "", **marks}
    assert (await tiers.web.get("/api/models")).json() == {"models": [bundled]}
    assert (await tiers.web.post("/api/models/load", json={"name": "bundled"})).json() == bundled


async def test_health(tiers: Any) -> None:
    assert (await tiers.web.get("/healthz")).json() == {"status": "ok"}
    assert (await tiers.web.get("/readyz")).json() == {"status": "ready"}


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/api/models", "/api/models/events", "/api/openapi.json"]
)
async def test_head_has_no_body_and_ends(tiers: Any, path: str) -> None:
    answer = await tiers.web.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
