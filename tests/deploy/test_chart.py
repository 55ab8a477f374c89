"""The Helm chart as Helm renders it, for each set of values in its ci folder; no cluster runs here."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import CHART, KUBERNETES, helm, named, of_kind, rendered
from kubernetes_validate.utils import validate
from msgspec import Struct
from servers import ROOT

import inference_server.settings
import web_gateway.settings
from service_kit.settings import describe, read

VALUES = sorted(path for path in (CHART / "ci").glob("*-values.yaml") if path.stem != "ray-values")
CUSTOM = {"cert-manager.io/v1", "monitoring.coreos.com/v1"}  # not Kubernetes' own, so without a schema here
SETTINGS: dict[str, type[Struct]] = {
    "gateway": web_gateway.settings.Settings,
    "inference": inference_server.settings.Settings,
}


def workload(documents: list[dict[str, Any]], component: str) -> dict[str, Any]:
    (found,) = of_kind(documents, {"gateway": "Deployment", "inference": "StatefulSet"}[component], component)
    return found


def container(documents: list[dict[str, Any]], component: str) -> dict[str, Any]:
    (found,) = workload(documents, component)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(documents: list[dict[str, Any]], component: str) -> dict[str, str]:
    given = container(documents, component)["env"]
    assert len({each["name"] for each in given}) == len(given), "a variable is set twice"
    return {each["name"]: each["value"] for each in given if "value" in each}


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
class TestEachSetOfValues:
    def test_helm_finds_no_fault(self, values: Path) -> None:
        result = helm("lint", "--strict", str(CHART), "--values", str(values))
        assert result.returncode == 0, result.stdout + result.stderr

    @pytest.mark.parametrize("version", KUBERNETES)
    def test_kubernetes_would_accept_every_object(self, values: Path, version: str) -> None:
        checked = [document for document in rendered(values) if document["apiVersion"] not in CUSTOM]
        assert checked
        for document in checked:
            validate(document, version, strict=True)

    @pytest.mark.parametrize("component", ["gateway", "inference"])
    def test_the_service_accepts_its_settings(self, values: Path, component: str) -> None:
        given = environment(rendered(values), component)
        known = {name for name, *_ in describe(SETTINGS[component])}
        assert {name for name in given if name.startswith("NEXTTOKEN_")} <= known
        read(SETTINGS[component], given)

    @pytest.mark.parametrize("component", ["gateway", "inference"])
    def test_a_pod_may_do_nothing_but_serve(self, values: Path, component: str) -> None:
        pod = workload(rendered(values), component)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        (only,) = pod["containers"]
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_a_stop_waits_longer_than_the_services_take(self, values: Path) -> None:
        documents = rendered(values)
        server = read(inference_server.settings.Settings, environment(documents, "inference"))
        pod = workload(documents, "inference")["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] >= server.drain_s + server.grace_s + 5
        gateway = read(web_gateway.settings.Settings, environment(documents, "gateway"))
        pod = workload(documents, "gateway")["spec"]["template"]["spec"]
        pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= pause + gateway.grace_s + 3

    def test_services_budgets_and_policies_choose_their_pods(self, values: Path) -> None:
        documents = rendered(values)
        pods = {
            component: workload(documents, component)["spec"]["template"]["metadata"]["labels"]
            for component in SETTINGS
        }
        for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            for document in of_kind(documents, kind):
                spec = document["spec"]
                chosen = spec.get("podSelector", spec.get("selector"))
                wanted = chosen.get("matchLabels", chosen)
                matching = [name for name, labels in pods.items() if wanted.items() <= labels.items()]
                assert matching == [document["metadata"]["labels"]["app.kubernetes.io/component"]]

    def test_the_gateway_finds_the_inference_servers(self, values: Path) -> None:
        documents = rendered(values)
        (service,) = of_kind(documents, "Service", "inference")
        assert service["spec"]["clusterIP"] == "None"  # a gateway chooses the replica itself
        assert workload(documents, "inference")["spec"]["serviceName"] == service["metadata"]["name"]
        target = environment(documents, "gateway")["NEXTTOKEN_INFERENCE_TARGET"]
        assert target == f"dns:///{service['metadata']['name']}.demo.svc:50051"

    @pytest.mark.parametrize("component", ["gateway", "inference"])
    def test_the_three_probes_ask_three_questions(self, values: Path, component: str) -> None:
        only = container(rendered(values), component)
        asked = [only[probe] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
        if component == "inference" and "grpc" in asked[0]:
            assert [probe["grpc"].get("service") for probe in asked] == ["startup", "live", None]
        elif component == "inference":
            assert [probe["httpGet"] for probe in asked] == [
                {"path": path, "port": "metrics"} for path in ("/startupz", "/healthz", "/readyz")
            ]
        else:
            assert asked[1]["httpGet"] == {"path": "/healthz", "port": "http"}


def test_all_sets_of_values_are_there() -> None:
    assert len(VALUES) >= 6


def test_tls_gives_both_sides_certificates_and_no_plaintext() -> None:
    documents = named("tls")
    server, gateway = (environment(documents, component) for component in ("inference", "gateway"))
    assert "NEXTTOKEN_ALLOW_PLAINTEXT" not in server | gateway
    issued = {one["spec"]["secretName"]: one["spec"] for one in of_kind(documents, "Certificate")}
    for component, usage in (("inference", "server auth"), ("gateway", "client auth")):
        volumes = workload(documents, component)["spec"]["template"]["spec"]["volumes"]
        (secret,) = [volume["secret"]["secretName"] for volume in volumes if volume["name"] == "certificates"]
        assert usage in issued[secret]["usages"]
    name = gateway["NEXTTOKEN_INFERENCE_TARGET"].removeprefix("dns:///").removesuffix(":50051")
    (certificate,) = [spec for spec in issued.values() if "server auth" in spec["usages"]]
    assert name in certificate["dnsNames"]
    assert not of_kind(documents, "Secret")  # the token stays in the secret that exists


def test_a_gpu_is_asked_for_and_used() -> None:
    documents = named("gpu")
    only = container(documents, "inference")
    assert only["resources"]["limits"] == {"memory": "6Gi", "nvidia.com/gpu": 1}
    assert only["image"].endswith("-cuda")
    assert environment(documents, "inference")["NEXTTOKEN_DEVICE"] == "cuda"


def test_scaling_follows_the_queue_and_owns_the_number_of_replicas() -> None:
    documents = named("scaling")
    (scaler,) = of_kind(documents, "HorizontalPodAutoscaler", "inference")
    (metric,) = scaler["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "nexttoken_inference_queue_depth"
    assert scaler["spec"]["scaleTargetRef"]["name"] == workload(documents, "inference")["metadata"]["name"]
    for component in SETTINGS:
        assert "replicas" not in workload(documents, component)["spec"]


def test_the_alerts_are_those_of_the_stack() -> None:
    (rule,) = of_kind(named("scaling"), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((ROOT / "observability" / "alerts.yml").read_text())


def test_outsiders_reach_the_page_alone() -> None:
    documents = named("public")
    (ingress,) = of_kind(documents, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    (service,) = of_kind(documents, "Service", "gateway")
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == service["metadata"]["name"]
    (policy,) = of_kind(documents, "NetworkPolicy", "inference")
    (from_gateway, *_) = policy["spec"]["ingress"]
    labels = workload(documents, "gateway")["spec"]["template"]["metadata"]["labels"]
    (peer,) = from_gateway["from"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53}  # no Hub


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("gateway.replica=3", "replica"),
        ("inference.settings.grpc_port=7", "grpc_port"),
        ("gateway.settings.auth_token=secret", "auth_token"),
        ("gateway.readinessPath=/", "readinessPath"),
        ("inference.gpu.count=-1", "count"),
        ("tls.enabled=true", "tls.issuer.name"),
        ("tls.enabled=true,tls.issuer.name=a,inference.ray.enabled=true", "Ray's gRPC proxies have no TLS"),
        ("gateway.ingress.enabled=true", "gateway.ingress.hosts"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(given: str, named: str) -> None:
    result = helm("template", "tokens", str(CHART), "--set", given)
    assert result.returncode != 0
    assert named in result.stderr


def test_the_schema_knows_every_value() -> None:
    def names(tree: Any, schema: dict[str, Any], at: str = "") -> list[str]:
        if not isinstance(tree, dict) or "properties" not in schema:
            return []
        missing = [f"{at}{name}" for name in tree if name not in schema["properties"]]
        inner = ((name, tree[name], schema["properties"].get(name, {})) for name in tree)
        return missing + [fault for name, value, part in inner for fault in names(value, part, f"{at}{name}.")]

    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert names(values, json.loads((CHART / "values.schema.json").read_text())) == []
