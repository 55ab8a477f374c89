"""The chart with a RayService for the inference tier, and the configuration for a Ray cluster without Kubernetes."""

import os
import subprocess
import sys
from copy import deepcopy
from typing import Any

import pytest
import yaml
from charts import CHART, KUBERNETES, helm, named, of_kind
from kubernetes_validate.utils import validate
from servers import ROOT

import inference_server.settings
import web_gateway.settings
from service_kit.settings import read, variable

CONFIG = ROOT / "deploy" / "ray" / "config.yaml"
OWN = "ray.io/v1"


def service() -> dict[str, Any]:
    (found,) = of_kind(named("ray"), "RayService")
    return dict(found["spec"])


def served() -> dict[str, Any]:
    config = yaml.safe_load(service()["serveConfigV2"])
    assert isinstance(config, dict)
    return config


def pods() -> dict[str, dict[str, Any]]:
    """component → its pod template."""
    cluster = service()["rayClusterConfig"]
    (workers,) = cluster["workerGroupSpecs"]
    return {"ray-head": cluster["headGroupSpec"]["template"], "inference": workers["template"]}


def test_helm_finds_no_fault() -> None:
    result = helm("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / "ray-values.yaml"))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_would_accept_every_object_and_pod(version: str) -> None:
    documents = [document for document in named("ray") if document["apiVersion"] != OWN]
    assert not of_kind(documents, "StatefulSet")
    assert not of_kind(documents, "HorizontalPodAutoscaler", "inference")  # Ray's own scales
    for document in documents:
        validate(document, version, strict=True)
    for name, template in pods().items():
        pod = {"apiVersion": "v1", "kind": "Pod", **deepcopy(template)}
        pod["metadata"]["name"] = name
        validate(pod, version, strict=True)


def test_ray_is_given_what_the_configuration_without_kubernetes_gives_it() -> None:
    theirs, ours = served(), yaml.safe_load(CONFIG.read_text())
    assert theirs["proxy_location"] == ours["proxy_location"]
    assert theirs["grpc_options"] == ours["grpc_options"]
    (theirs_app,), (ours_app,) = theirs["applications"], ours["applications"]
    for name in ("name", "route_prefix", "import_path"):
        assert theirs_app[name] == ours_app[name]
    (theirs_one,), (ours_one,) = theirs_app["deployments"], ours_app["deployments"]
    assert theirs_one["name"] == ours_one["name"]
    assert theirs_one["autoscaling_config"].keys() == ours_one["autoscaling_config"].keys()


@pytest.mark.parametrize("given", [CONFIG.read_text(), None], ids=["config.yaml", "chart"])
def test_the_server_accepts_its_settings(given: str | None) -> None:
    (application,) = (yaml.safe_load(given) if given else served())["applications"]
    texts = {
        variable(name): ",".join(value) if isinstance(value, list) else str(value)
        for name, value in application["args"].items()
    }
    settings = read(inference_server.settings.Settings, texts)
    assert settings.ready_when == "default"
    assert {variable(name) for name in inference_server.settings.Settings.__struct_fields__} >= texts.keys()
    (deployment,) = application["deployments"]
    assert deployment.get("max_ongoing_requests", 256) > settings.queue_limit  # so that the server itself refuses


def test_a_replica_gets_a_node_of_its_own_and_its_gpu() -> None:
    (workers,) = service()["rayClusterConfig"]["workerGroupSpecs"]
    (application,) = served()["applications"]
    (deployment,) = application["deployments"]
    asked, has = deployment["ray_actor_options"], workers["rayStartParams"]
    assert (asked["num_cpus"], asked["num_gpus"]) == (int(has["num-cpus"]), int(has["num-gpus"])) == (4, 1)
    assert application["args"]["device"] == "cuda"
    scaling = deployment["autoscaling_config"]
    assert (
        (scaling["min_replicas"], scaling["max_replicas"]) == (workers["minReplicas"], workers["maxReplicas"]) == (2, 6)
    )
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    head = service()["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"


def test_a_pod_may_do_nothing_but_serve() -> None:
    for name, template in pods().items():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] == (name == "ray-head")  # which adds and removes pods
        (only,) = pod["containers"]
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_gateway_finds_rays_proxies() -> None:
    documents = named("ray")
    (found,) = of_kind(documents, "Service", "inference")
    labels, ports = pods()["inference"]["metadata"]["labels"], pods()["inference"]["spec"]["containers"][0]["ports"]
    assert found["spec"]["selector"].items() <= labels.items()
    assert not found["spec"]["selector"].items() <= pods()["ray-head"]["metadata"]["labels"].items()
    (deployment,) = of_kind(documents, "Deployment", "gateway")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    settings = read(web_gateway.settings.Settings, given)
    assert settings.inference_target == f"dns:///{found['metadata']['name']}.demo.svc:9000"
    assert settings.ray_application == served()["applications"][0]["name"]
    assert {"name": "grpc", "containerPort": served()["grpc_options"]["port"]} in ports


def test_nodes_reach_each_other_and_outsiders_none_of_them() -> None:
    policies = {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: one["spec"]
        for one in of_kind(named("ray"), "NetworkPolicy")
    }
    for component in pods():
        among, *_ = [rule for rule in policies[component]["ingress"] if "ports" not in rule]
        chosen = [peer["podSelector"]["matchLabels"] for peer in among["from"]]
        for template in pods().values():
            assert any(labels.items() <= template["metadata"]["labels"].items() for labels in chosen)
        assert all("from" in rule for rule in policies[component]["ingress"])


def test_a_probe_fails_where_nothing_answers() -> None:
    (container,) = pods()["inference"]["spec"]["containers"]
    program, *arguments = container["readinessProbe"]["exec"]["command"]
    assert program == "python"
    asked = [*arguments[:-1], "http://127.0.0.1:1/-/healthz"]
    assert subprocess.run([sys.executable, *asked], env=os.environ, capture_output=True).returncode != 0
