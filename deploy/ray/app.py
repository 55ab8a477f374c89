"""The inference server as a Ray Serve application: `serve run deploy.ray.app:app model=bundled`, or with config.yaml.

The arguments are the README's settings without NEXTTOKEN_, in lower case; those that are not given are read from each
replica's environment.
"""

import os
from collections.abc import Mapping

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

from deploy.ray.replica import Replica, chosen

# What config.yaml doesn't override. A replica refuses what its own queue can't take, so Ray's bounds are wider.
Inference = serve.deployment(
    name="Inference",
    max_ongoing_requests=256,  # calls and watches per replica
    max_queued_requests=256,  # per proxy, while no replica takes more
    autoscaling_config=AutoscalingConfig(
        min_replicas=1,
        max_replicas=8,
        target_ongoing_requests=8,
        upscale_delay_s=10,
        downscale_delay_s=600,  # each change moves sessions, whose prompts are then computed again
    ),
    request_router_config=RequestRouterConfig(request_router_class=ConsistentHashRouter),
    ray_actor_options={"num_cpus": 2},  # also the threads of a pass
    health_check_period_s=5,
    health_check_timeout_s=15,
    graceful_shutdown_timeout_s=60,  # streams that go on; watches end sooner
    graceful_shutdown_wait_loop_s=0.5,
)(Replica)


def app(arguments: Mapping[str, object]) -> Application:
    """The application. Raises SettingsError, before anything is deployed."""
    given = {name: written(value) for name, value in arguments.items()}
    chosen(given, os.environ)
    return Inference.bind(given)


def written(value: object) -> str:
    """A setting as one would write it into the environment."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
