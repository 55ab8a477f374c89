"""The gateway's tables are whole, and its OpenAPI file says what the gateway and the inference server do."""

import importlib
import inspect
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from nexttoken.v1 import next_token_pb2 as pb

from inference_server import generate_messages as generating
from inference_server import grow_messages as growing
from inference_server import influence_messages as influencing
from inference_server import layer_messages as layers
from inference_server import messages as engine
from inference_server import sampler_messages as sampling
from inference_server import settings as inference
from inference_server.api import channel_options
from inference_server.chat_messages import MAX_MESSAGES
from inference_server.engine.sampler_checks import RANGES
from web_gateway import (
    about,
    compare_messages,
    errors,
    generate_messages,
    grow_messages,
    influence_messages,
    layer_messages,
    messages,
    model_messages,
    openai_errors,
    sampler_messages,
    tokenize_messages,
)
from web_gateway.api import handlers, openapi, operations
from web_gateway.api.openai import answers, requests
from web_gateway.api.openai import handlers as openai_handlers
from web_gateway.app import create_app
from web_gateway.inference import channel_options as gateway_options
from web_gateway.inference import client, convert
from web_gateway.settings import Settings

GATEWAY = Path(messages.__file__).parent


def subclasses(kind: Any) -> set[Any]:
    return {found for child in kind.__subclasses__() for found in {child, *subclasses(child)}}


def schema(name: str, field: str) -> Any:
    return openapi.document()["components"]["schemas"][name]["properties"][field]


def paths() -> dict[str, set[str]]:
    """The routes of the app that take a method, and the methods they take."""
    *all_routes, _page = create_app(Settings()).routes
    routes: list[tuple[str, Any]] = []
    for route in all_routes:
        mounted: Any = route
        inside = getattr(route, "routes", None)
        routes += [(mounted.path + each.path, each) for each in inside] if inside else [(mounted.path, route)]
    return {
        path.replace(":path}", "}"): {method.lower() for method in route.methods - {"HEAD"}}
        for path, route in routes
        if route.methods
    }


def test_every_error_has_an_answer_and_every_answer_is_described() -> None:
    assert set(errors.ANSWERS) == subclasses(errors.GatewayError)
    assert {status for status, _ in errors.ANSWERS.values()} == set(operations.SUMMARY)


def test_every_path_is_described_and_no_other() -> None:
    described = {path: set(operations) for path, operations in openapi.document()["paths"].items()}
    assert described == paths()


def test_every_reference_leads_somewhere() -> None:
    document = openapi.document()
    names = set(document["components"]["schemas"])

    def references(part: Any) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if "$ref" in part else set()
            return own.union(*map(references, part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    assert {reference.removeprefix("#/components/schemas/") for reference in references(document)} <= names


def test_ranges_are_those_of_the_inference_server() -> None:
    assert schema("NextTokenRequest", "top_k")["maximum"] == engine.MAX_TOP_K
    assert schema("NextTokenRequest", "temperature")["maximum"] == engine.MAX_TEMPERATURE
    assert schema("NextTokenRequest", "watch_token_ids")["maxItems"] == engine.MAX_WATCHED
    assert schema("NextTokenRequest", "draws")["maxItems"] == engine.MAX_DRAWS
    assert schema("NextTokenRequest", "parts")["maxItems"] == engine.MAX_PARTS
    assert schema("ScoreRequest", "top_k")["maximum"] == engine.MAX_ALTERNATIVES
    assert schema("LayersRequest", "top_k")["maximum"] == layers.MAX_LAYER_TOP_K
    assert schema("LayersRequest", "temperature")["maximum"] == engine.MAX_TEMPERATURE
    assert schema("LayersRequest", "watch_token_ids")["maxItems"] == engine.MAX_WATCHED


def test_ranges_of_generate_are_those_of_the_inference_server() -> None:
    for field, most in (
        ("max_tokens", generating.MAX_NEW_TOKENS),
        ("seed", generating.MAX_SEED),
        ("n", generating.MAX_CONTINUATIONS),
        ("top_k", engine.MAX_TOP_K),
    ):
        assert schema("GenerateRequest", field)["maximum"] == most
    assert schema("GenerateRequest", "stop")["maxItems"] == generating.MAX_STOPS
    assert schema("GenerateRequest", "stop_token_ids")["maxItems"] == generating.MAX_STOP_TOKENS
    assert schema("GenerateRequest", "resume")["maxItems"] == generating.MAX_CONTINUATIONS
    assert schema("GeneratedSoFar", "index")["maximum"] == generating.MAX_CONTINUATIONS - 1


def test_ranges_of_sampler_steps_are_those_of_the_inference_server() -> None:
    names = sampler_messages.Sampler.__struct_fields__
    for request in ("NextTokenRequest", "GenerateRequest", "ComparedQuestion"):
        assert schema(request, "samplers")["maxItems"] == len(names)
    for name in names:
        rule = schema("Sampler", name)
        if name in ("ban", "logit_bias"):
            assert (rule["minItems"], rule["maxItems"]) == (1, sampling.MAX_SAMPLER_TOKENS)
        elif "$ref" not in rule and "allOf" not in rule:
            within = RANGES[name][0]
            least = rule["minimum"] if "minimum" in rule else rule["exclusiveMinimum"]
            assert within(least) == ("minimum" in rule)
            assert within(rule["maximum"])
            assert not within(rule["maximum"] * 1.01)
    choices = schema("Mask", "choices")
    assert (choices["minItems"], choices["maxItems"]) == (1, sampling.MAX_CHOICES)
    for name in ("regex", "grammar"):
        assert schema("Mask", name)["minLength"] == 1
    assert f"at most {sampling.MAX_MASK_BYTES:,} bytes" in (sampler_messages.Mask.__doc__ or "")
    bias = schema("TokenBias", "bias")
    assert (bias["minimum"], bias["maximum"]) == (-sampling.MAX_BIAS, sampling.MAX_BIAS)
    assert schema("Xtc", "threshold")["default"] == sampling.Xtc().threshold


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("NextTokenRequest", engine.TopKQuery()),
        ("ScoreRequest", engine.ScoreQuery()),
        ("LayersRequest", layers.LayersQuery()),
        ("GenerateRequest", generating.GenerateQuery()),
        ("InfluenceRequest", influencing.InfluenceQuery()),
    ],
)
def test_defaults_are_those_of_the_inference_server(name: str, query: Any) -> None:
    properties = openapi.document()["components"]["schemas"][name]["properties"]
    described = {field: rule["default"] for field, rule in properties.items() if "default" in rule}
    assert described
    assert {field: getattr(query, field) for field in described} == described


@pytest.mark.parametrize(
    ("request_type", "message"),
    [
        (messages.NextTokenRequest, pb.TopKRequest),
        (messages.ScoreRequest, pb.ScoreRequest),
        (layer_messages.LayersRequest, pb.LayersRequest),
        (generate_messages.GenerateRequest, pb.GenerateRequest),
        (generate_messages.GeneratedSoFar, pb.GeneratedSoFar),
        (grow_messages.GrowRequest, pb.GrowRequest),
        (compare_messages.CompareRequest, pb.CompareRequest),
        (compare_messages.ComparedQuestion, pb.ComparedQuestion),
        (influence_messages.InfluenceRequest, pb.InfluenceRequest),
        (tokenize_messages.TokenizeRequest, pb.TokenizeRequest),
        (sampler_messages.Sampler, pb.Sampler),
        (sampler_messages.Xtc, pb.Xtc),
        (sampler_messages.Penalty, pb.Penalty),
        (sampler_messages.TokenBias, pb.TokenBias),
        (sampler_messages.Mask, pb.Mask),
    ],
)
def test_every_field_of_a_question_travels(request_type: Any, message: Any) -> None:
    assert set(request_type.__struct_fields__) == set(message.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(("mine", "theirs"), [(about.ServerVersions, pb.Versions), (about.ServerLimits, pb.Limits)])
def test_what_a_server_says_of_itself_arrives_whole(mine: Any, theirs: Any) -> None:
    assert set(mine.__struct_fields__) == set(theirs.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(
    ("struct", "message"),
    [
        (messages.NextTokenAnswer, pb.TopKResponse),
        (messages.ScoreAnswer, pb.ScoreResponse),
        (layer_messages.LayersAnswer, pb.LayersResponse),
        (model_messages.ModelList, pb.WatchModelsResponse),
        (model_messages.ModelList, pb.ListModelsResponse),
        (model_messages.Model, pb.Model),
        (about.ServerInfo, pb.InfoResponse),
        (generate_messages.GenerateStart, pb.GenerateStart),
        (generate_messages.GeneratedToken, pb.GeneratedToken),
        (generate_messages.GenerateFinish, pb.GenerateFinish),
        (grow_messages.GrowStart, pb.GrowStart),
        (grow_messages.GrownNode, pb.GrownNode),
        (grow_messages.GrownMass, pb.GrownMass),
        (grow_messages.GrowFinish, pb.GrowFinish),
        (compare_messages.CompareAnswer, pb.CompareResponse),
        (tokenize_messages.TokenizeAnswer, pb.TokenizeResponse),
        (messages.Sampling, pb.Sampling),
        (sampler_messages.Sampled, pb.Sampled),
        (influence_messages.InfluenceStart, pb.InfluenceStart),
        (influence_messages.InfluenceChange, pb.InfluenceChange),
        (influence_messages.InfluenceEnd, pb.InfluenceEnd),
    ],
)
def test_every_field_of_an_answer_is_found_in_its_message(struct: Any, message: Any) -> None:
    assert isinstance(convert.to_struct(message(), struct), struct)


def test_optional_fields_that_are_unset_become_null() -> None:
    tokens = [pb.Token(bytes=b"", text=""), pb.Token(bytes=b"\xff")]
    assert [convert.to_struct(token, messages.Token).text for token in tokens] == ["", None]
    assert convert.to_struct(pb.Model(), model_messages.Model).facts is None
    answer = convert.score_answer(pb.ScoreResponse(tokens=[pb.ScoredToken(unconditioned=True), pb.ScoredToken()]))
    assert [(token.rank, token.entropy_bits) for token in answer.tokens] == [(None, None), (0, 0.0)]


def test_ranges_of_completions_are_those_of_the_inference_server() -> None:
    def rule(field: str) -> Any:
        (found,) = [each for each in schema("CompletionRequest", field)["anyOf"] if each.get("type") != "null"]
        return found

    for field, most in (
        ("max_tokens", generating.MAX_NEW_TOKENS),
        ("seed", generating.MAX_SEED),
        ("n", generating.MAX_CONTINUATIONS),
        ("logprobs", engine.MAX_ALTERNATIVES),
        ("temperature", engine.MAX_TEMPERATURE),
    ):
        assert rule(field)["maximum"] == most
    assert rule("stop_token_ids")["maxItems"] == generating.MAX_STOP_TOKENS
    assert schema("ChatCompletionRequest", "messages")["maxItems"] == MAX_MESSAGES


def test_every_state_has_a_word() -> None:
    known = {number for name, number in pb.ModelState.items() if name != "MODEL_STATE_UNSPECIFIED"}
    assert set(convert.MODEL_STATES) == known
    assert {*convert.MODEL_STATES.values(), "unknown"} == set(get_args(model_messages.ModelState))
    parts = {number for name, number in pb.ModelPart.items() if name != "MODEL_PART_UNSPECIFIED"}
    assert set(convert.MODEL_PARTS) == parts
    assert {*convert.MODEL_PARTS.values(), "unknown"} == set(get_args(layer_messages.ModelPart))


def test_every_event_of_a_stream_has_a_struct() -> None:
    for message, kinds in ((pb.GenerateResponse, convert.GENERATE_EVENTS), (pb.GrowResponse, convert.GROW_EVENTS)):
        events = message.DESCRIPTOR.oneofs_by_name["event"].fields
        assert [event.name for event in events] == list(kinds)


def test_every_reason_to_finish_has_a_word() -> None:
    known = {number for name, number in pb.FinishReason.items() if name != "FINISH_REASON_UNSPECIFIED"}
    assert set(convert.FINISH_REASONS) == known
    hint = get_type_hints(generate_messages.GenerateFinish)["finish_reason"]
    assert {*convert.FINISH_REASONS.values(), "unknown"} == set(get_args(hint))
    assert set(convert.FINISH_REASONS.values()) == {reason.value for reason in generating.FinishReason}
    reasons = {number for name, number in pb.GrowFinishReason.items() if not name.endswith("UNSPECIFIED")}
    assert set(convert.GROW_FINISH_REASONS) == reasons
    assert set(convert.GROW_FINISH_REASONS.values()) == {reason.value for reason in growing.GrowFinishReason}
    hint = get_type_hints(grow_messages.GrowFinish)["finish_reason"]
    assert {*convert.GROW_FINISH_REASONS.values(), "unknown"} == set(get_args(hint))


def test_every_struct_of_an_answer_is_in_the_file() -> None:
    modules = [importlib.import_module(f"web_gateway.{path.stem}") for path in GATEWAY.glob("*messages.py")]
    modules += [about, answers, requests, openai_errors]
    kinds = {kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)}
    structs = {kind for kind in kinds if issubclass(kind, msgspec.Struct) and kind is not Settings}
    names = {kind.__name__ for kind in structs - {msgspec.Struct, messages.PromptRequest, requests.Sampling}}
    assert names == set(openapi.document()["components"]["schemas"])


def test_handlers_ask_the_client_only_for_what_it_has() -> None:
    source = inspect.getsource(handlers) + inspect.getsource(openai_handlers)
    asked = {part.split("(")[0] for part in source.split("request.state.inference.")[1:]}
    assert asked
    methods = [getattr(client.InferenceClient, name) for name in asked]
    assert all(inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method) for method in methods)
    assert get_type_hints(client.connect)["settings"] is Settings


def test_the_tiers_agree_on_the_connection() -> None:
    mine, theirs = dict(gateway_options.OPTIONS), dict(channel_options.options(inference.Settings()))
    assert mine["grpc.keepalive_time_ms"] >= theirs["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert theirs["grpc.max_receive_message_length"] >= Settings().max_body_bytes


def test_units_and_methods_of_influence_are_those_of_the_inference_server() -> None:
    assert tuple(schema("InfluenceRequest", "unit")["enum"]) == tuple(sorted(influencing.UNITS))
    assert tuple(schema("InfluenceRequest", "method")["enum"]) == tuple(sorted(influencing.METHODS))
    assert set(convert.words_of(pb.InfluenceUnitKind.DESCRIPTOR).values()) == set(influencing.UNITS)
    assert set(convert.words_of(pb.InfluenceMethod.DESCRIPTOR).values()) == set(influencing.METHODS)
    events = pb.InfluenceResponse.DESCRIPTOR.oneofs_by_name["event"].fields
    assert [event.name for event in events] == list(convert.INFLUENCE_EVENTS)
