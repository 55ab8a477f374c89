"""What it costs readers that a replica is killed, hangs, or that all are restarted; and the images' sizes.

On a real Docker engine, with the containers of docker-compose.scale.yml and 24 readers who never stop.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

from containers import Stack, build, docker, image_mb, running, until
from readers import readers


def engine_answers() -> bool:
    """Whether there is a Docker engine to measure on."""
    return shutil.which("docker") is not None and not subprocess.run(["docker", "info"], capture_output=True).returncode


def failed_while(stack: Stack, trouble: Callable[[Stack], None]) -> tuple[float, float]:
    """Requests of 24 readers that failed during some trouble, and the seconds of the slowest one."""
    stack.serving()
    with readers(stack.url) as load:
        load.everyone()
        trouble(stack)
        load.everyone()
    return float(len(load.failures())), max(answer.seconds for answer in load.answers)


def kill_one(stack: Stack) -> None:
    """As the machine of a replica that loses its power; the engine starts it again."""
    os.kill(stack.containers()[0].pid, signal.SIGKILL)
    time.sleep(5)


def hang_one(stack: Stack) -> None:
    """As the machine of a replica that stands still."""
    victim = stack.containers()[1]
    docker("pause", victim.id)
    time.sleep(15)
    docker("unpause", victim.id)


def restart_all(stack: Stack) -> None:
    """One after the other, each once the one before answers again."""
    for replica in stack.containers():
        docker("restart", "--time", "20", replica.id)
        until(replica.serves)


def measure() -> dict[str, float]:
    """All figures of this benchmark; prints them as a table, or that there is nothing to measure on."""
    if not engine_answers():
        print("no Docker engine answers: nothing of failover_failed_requests, rolling_failed_requests, image_mb")
        return {}
    build()
    figures = {f"image_mb_{name.replace('-', '_')}": size for name, size in image_mb().items()}
    with running("docker-compose.scale.yml") as stack:
        figures["failover_failed_requests"], _ = failed_while(stack, kill_one)
        figures["hang_failed_requests"], figures["hang_slowest_s"] = failed_while(stack, hang_one)
        figures["rolling_failed_requests"], _ = failed_while(stack, restart_all)
    print("three inference servers in containers behind one gateway, 24 readers")
    for name, value in figures.items():
        print(f"  {name:28} {value:10.2f}")
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    measure()
