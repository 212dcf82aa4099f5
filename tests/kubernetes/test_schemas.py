"""Every manifest fits its schema, Kubernetes' own or that of its custom resource; unknown fields are faults.

schemas/ holds the schemas of KEDA 2.17.2 and prometheus-operator 0.80.1, less their descriptions, objects closed.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.kubernetes.manifests import FOLDER, kustomization, label, manifests, the

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
def test_it_fits_its_schema(manifest, version):
    check(manifest, version)


@pytest.mark.parametrize("manifest", [m for m in manifests() if "spec" in m], ids=label)
def test_a_misspelt_field_does_not(manifest):
    wrong = copy.deepcopy(manifest)
    wrong["spec"]["replicsa"] = 1
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(wrong)


def test_a_trigger_without_metadata_does_not():
    wrong = copy.deepcopy(the("ScaledObject", "worker"))
    del wrong["spec"]["triggers"][0]["metadata"]
    with pytest.raises(jsonschema.ValidationError):
        check(wrong)


def test_every_manifest_is_named_by_the_kustomization():
    written = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert written == {name for name in kustomization()["resources"] if name.endswith(".yaml")}


def test_kustomize_builds_what_fits_the_schemas():
    kustomize = shutil.which("kustomize")
    if kustomize is None:
        pytest.skip("kustomize is not there: the build is not tried")
    built = subprocess.run([kustomize, "build", str(FOLDER)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    made = list(yaml.safe_load_all(built.stdout))
    for manifest in made:
        check(manifest)
    pods = [m["spec"]["template"]["metadata"]["labels"] for m in made if m["kind"] == "Deployment"]
    assert all(labels["app.kubernetes.io/part-of"] == "aforo" for labels in pods)
    boards = {name for m in made if m["kind"] == "ConfigMap" for name in m["data"] if name.endswith(".json")}
    assert boards == {file.name for file in (FOLDER.parents[1] / "grafana/dashboards").glob("*.json")}
