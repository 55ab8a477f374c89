"""The Helm chart, rendered by Helm."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from servers import ROOT

CHART = ROOT / "deploy" / "helm" / "next-token-visualizer"
KUBERNETES = ("1.30", "1.33", "1.37")


@cache
def helm_path() -> str:
    found = subprocess.run(
        ["tools/helm", sys.executable, "build/helm"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return str(ROOT / found.stdout.strip())


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm_path(), *arguments], cwd=ROOT, capture_output=True, text=True)


@cache
def rendered(values: Path) -> list[dict[str, Any]]:
    result = helm("template", "tokens", str(CHART), "--namespace", "demo", "--values", str(values))
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def named(name: str) -> list[dict[str, Any]]:
    return rendered(CHART / "ci" / f"{name}-values.yaml")


def of_kind(documents: list[dict[str, Any]], kind: str, component: str = "") -> list[dict[str, Any]]:
    found = [document for document in documents if document["kind"] == kind]
    return [one for one in found if component in one["metadata"]["labels"]["app.kubernetes.io/component"]]
