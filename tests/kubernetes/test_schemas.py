"""Every manifest matches its schema. Unknown fields are errors.

schemas/ holds the schemas of KEDA 2.17.2 and prometheus-operator 0.80.1. Their descriptions are removed, and their
objects allow no other fields.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from testing.kubernetes import programs
from tests.kubernetes.manifests import FOLDER, RUN_FOLDER, kustomization, label, manifests, the

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = ("1.29", "1.34")
CUSTOM = {file.stem for file in SCHEMAS.glob("*.json")}


def check(manifest, version=VERSIONS[-1]):
    if manifest["kind"] in CUSTOM:
        schema = json.loads((SCHEMAS / f"{manifest['kind']}.json").read_text(encoding="utf-8"))
        jsonschema.validate(manifest, schema, jsonschema.Draft202012Validator)
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", manifests(), ids=label)
def test_it_matches_its_schema(manifest, version):
    check(manifest, version)


@pytest.mark.parametrize("manifest", [m for m in manifests() if "spec" in m], ids=label)
def test_a_misspelt_field_is_an_error(manifest):
    wrong = copy.deepcopy(manifest)
    wrong["spec"]["replicsa"] = 1
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(wrong)


def test_a_trigger_without_metadata_is_an_error():
    wrong = copy.deepcopy(the("ScaledObject", "worker"))
    del wrong["spec"]["triggers"][0]["metadata"]
    with pytest.raises(jsonschema.ValidationError):
        check(wrong)


@pytest.mark.parametrize("folder", [FOLDER, RUN_FOLDER], ids=lambda folder: folder.name)
def test_the_kustomization_lists_every_manifest(folder):
    written = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert written == {name for name in kustomization(folder)["resources"] if name.endswith(".yaml")}


def build(folder):
    """Return the output of kustomize, or of kubectl kustomize, for `folder`."""
    built_by_us = programs.program("kubectl")
    words = {"kustomize": ["build"], "kubectl": ["kustomize"], built_by_us: ["kustomize"]}
    command = next(([tool, *words[tool]] for tool in words if shutil.which(tool)), None)
    if command is None:
        pytest.skip("neither kustomize nor kubectl is there: the build is not tried")
    built = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return list(yaml.safe_load_all(built.stdout))


def test_the_output_of_kustomize_matches_the_schemas():
    built = build(FOLDER)
    for manifest in built:
        check(manifest)
    pods = [m["spec"]["template"]["metadata"]["labels"] for m in built if m["kind"] == "Deployment"]
    assert all(labels["app.kubernetes.io/part-of"] == "aforo" for labels in pods)
    boards = {name for m in built if m["kind"] == "ConfigMap" for name in m["data"] if name.endswith(".json")}
    assert boards == {file.name for file in (FOLDER.parents[1] / "grafana/dashboards-es").glob("*.json")}


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    """Return the manifests that kustomize makes of each overlay in docs/operating.md."""
    root, tmp_path = FOLDER.parents[1], tmp_path_factory.mktemp("overlays")
    shutil.copytree(FOLDER, tmp_path / "deploy/kubernetes")
    shutil.copytree(root / "grafana", tmp_path / "grafana", ignore=shutil.ignore_patterns("node_modules", "*.py"))
    page = (root / "docs/operating.md").read_text(encoding="utf-8")
    overlays = dict(re.findall(r"```yaml\n# (my-\w+)/kustomization.yaml\n(.*?)```", page, re.DOTALL))
    assert set(overlays) == {"my-overlay", "my-run"}
    for name, text in overlays.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "kustomization.yaml").write_text(text, encoding="utf-8")
    options = ["--runbook", "https://wiki.example/aforo", tmp_path / "my-overlay/rules.yaml"]
    subprocess.run([sys.executable, FOLDER / "generate.py", *options], check=True)
    return {name: build(tmp_path / name) for name in overlays}


def roles(built):
    """Return the role of each service account."""
    accounts = [m["metadata"] for m in built if m["kind"] == "ServiceAccount"]
    return {account["name"]: account["annotations"]["eks.amazonaws.com/role-arn"] for account in accounts}


def test_the_overlay_of_the_documentation_has_its_documented_effect(documented):
    built = documented["my-overlay"]
    for manifest in built:
        check(manifest)
    watched = [m for m in built if m["kind"] in {"PodMonitor", "PrometheusRule"}]
    assert {m["metadata"]["labels"]["release"] for m in watched} == {"kube-prometheus-stack"}
    alerts = [rule for m in watched for g in m["spec"].get("groups", []) for rule in g["rules"] if "alert" in rule]
    assert alerts
    assert all(alert["annotations"]["runbook_url"].startswith("https://wiki.example/aforo#") for alert in alerts)
    worker = next(m for m in built if m["kind"] == "Deployment" and m["metadata"]["name"] == "worker")
    assert worker["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/aforo-worker:1"
    assert set(roles(built)) == {"worker", "exporters"}


def test_the_runs_overlay_adds_a_job_with_its_image_and_its_options(documented):
    added = [m for m in documented["my-run"] if m not in documented["my-overlay"]]
    for manifest in added:
        check(manifest)
    objects = {"Job/run", "PersistentVolumeClaim/results", "ServiceAccount/injector", "NetworkPolicy/run"}
    assert {label(manifest) for manifest in added} == objects
    job = next(m for m in added if m["kind"] == "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/aforo-console:1"
    options = {each["name"]: each.get("value") for each in container["env"]}
    assert [options[name] for name in ("MODE", "SIZE", "COUNT")] == ["burst", "100MB", "50"]


@pytest.mark.parametrize("name", ["my-overlay", "my-run"])
def test_an_overlay_of_the_documentation_leaves_nothing_of_the_manifests_example_account(documented, name):
    built = documented[name]
    example = re.compile(r"123456789012|//sqs\.us-east-1")
    assert [label(manifest) for manifest in built if example.search(json.dumps(manifest))] == []
    arn = "arn:aws:iam::…:role/…-"
    assert roles(built) == {account: arn + account for account in roles(built)}
