"""A small Ray cluster on this machine with the application of config.yaml; does what its standard input says.

Run by a Python that has Ray. Each line is a list, the name of a function below and its arguments, and is answered by a
line of JSON. The end of the input ends the cluster.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.config import HTTPOptions, gRPCOptions
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

CONFIG = Path(__file__).parents[2] / "deploy" / "ray" / "config.yaml"
NODE = {"num_cpus": 2, "object_store_memory": 80 << 20}
LOOK_S = 0.1
PATIENCE_S = 170.0


class Driver:
    """The cluster, and what may be done with it."""

    def __init__(self, grpc_port: int, http_port: int, metrics_port: int) -> None:
        self._config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        head = {**NODE, "metrics_export_port": metrics_port, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        ray.init(address=self._cluster.address, log_to_driver=False)
        functions = self._config["grpc_options"]["grpc_servicer_functions"]
        serve.start(
            grpc_options=gRPCOptions(port=grpc_port, grpc_servicer_functions=functions),
            http_options=HTTPOptions(port=http_port),
        )
        self._nodes: list[Any] = []

    def deploy(self, arguments: dict[str, Any], options: dict[str, Any]) -> list[str]:
        """What `serve deploy` does with config.yaml, with these in place of its own; the replicas once it runs."""
        config = json.loads(json.dumps(self._config))
        (application,) = config["applications"]
        application["args"] = arguments
        (deployment,) = application["deployments"]
        deployment.update(options)
        old = {one.replica_id for one in replicas()}
        _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config))
        while old & set(found := self.running(None)):
            time.sleep(LOOK_S)
        return found

    def running(self, count: int | None) -> list[str]:
        """Waits until the application runs, with so many replicas; their ids."""
        limit = time.monotonic() + PATIENCE_S
        while True:
            application = serve.status().applications["nexttoken"]
            states = {one.replica_id: str(one.state) for one in replicas()}
            found = [name for name, state in states.items() if state.endswith("RUNNING")]
            done = application.status == "RUNNING" if count is None else count == len(found)
            if done and len(states) == len(found):
                return found
            if application.status == "DEPLOY_FAILED" or time.monotonic() > limit:
                raise RuntimeError(f"{application.status} {application.message} {states}")
            time.sleep(LOOK_S)

    def renewed(self, before: list[str]) -> list[str]:
        """Waits until as many run, and not all of these."""
        while set(found := self.running(len(before))) == set(before):
            time.sleep(LOOK_S)
        return found

    def add_node(self, grpc_port: int, http_port: int) -> None:
        """Another node, whose proxy listens on ports of its own."""
        ports = {"RAY_SERVE_WORKER_PROXY_GRPC_PORT": str(grpc_port), "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(http_port)}
        self._nodes.append(self._cluster.add_node(**NODE, env_vars=ports))

    def kill_node(self) -> None:
        """At once, with all that runs there."""
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


def replicas() -> list[Any]:
    """What Serve's controller says of each replica."""
    applications = _get_global_client().get_serve_details()["applications"]
    deployments = applications["nexttoken"]["deployments"].values() if applications else ()
    return [type("Replica", (), replica) for deployment in deployments for replica in deployment["replicas"]]


def main() -> None:
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # Ray prints what happens to its workers
        driver = Driver(*map(int, sys.argv[1:]))
        answers.write(json.dumps("up") + "\n")
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            answers.write(json.dumps(getattr(driver, name)(*arguments)) + "\n")
        driver.close()


if __name__ == "__main__":
    main()
