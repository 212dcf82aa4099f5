"""Build the programs of the Kubernetes control plane from their Go modules, into .tools/kubernetes/."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testing.emulator import ROOT

CACHE = ROOT / ".tools/kubernetes"


@dataclass(frozen=True)
class GoModule:
    """A Go module at one version, with the programs to build from it.

    The field `programs` maps the name of each program to the path of its package inside the module.
    """

    path: str
    version: str
    programs: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Return the folder into which the programs of this Go module are built."""
        return CACHE / f"{self.path.replace('/', '-')}@{self.version}"

    def package(self, program: str) -> str:
        """Return the Go import path of the package from which `program` is built."""
        return f"{self.path}/{self.programs[program]}".rstrip("/")

    def missing(self) -> list[str]:
        """Return the names of the programs of this Go module that are not built yet."""
        return [program for program in self.programs if not (self.folder / program).exists()]


ETCD = GoModule("go.etcd.io/etcd/server/v3", "v3.6.4", {"etcd": ""})
KUBERNETES = GoModule(
    "k8s.io/kubernetes",
    "v1.34.4",
    {name: f"cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")},
)
KEDA = GoModule("github.com/kedacore/keda/v2", "v2.21.0", {name: f"cmd/{name}" for name in ("operator", "adapter")})
KWOK = GoModule("sigs.k8s.io/kwok", "v0.8.0", {"kwok": "cmd/kwok"})
MODULES = (ETCD, KUBERNETES, KEDA, KWOK)
#: the source of the operator's CRDs; the operator itself is not run
PROMETHEUS_OPERATOR = GoModule("github.com/prometheus-operator/prometheus-operator", "v0.85.0", {})
#: modules whose source the control plane reads, for CRDs and for kwok's stages
SOURCES = (KEDA, KWOK, PROMETHEUS_OPERATOR)


def missing_requirement() -> str | None:
    """Return a text that says why the control plane cannot run on this machine, or None if it can."""
    needed = {"go": "it builds the control plane", "openssl": "it makes the certificates"}
    return next((f"there is no {name}: {why}" for name, why in needed.items() if shutil.which(name) is None), None)


def program(name: str) -> str:
    """Return the path of a program of the control plane, such as `kubectl`."""
    module = next(module for module in MODULES if name in module.programs)
    return str(module.folder / name)


def unbuilt() -> list[str]:
    """Return the names of the control plane's programs that are not built yet."""
    return [name for module in MODULES for name in module.missing()]


def build_missing() -> None:
    """Build the programs of the control plane that are not built yet, and download the sources that it reads.

    The build of all programs takes about half an hour on two cores.
    """
    for module in MODULES:
        if missing := module.missing():
            _build(module, missing)
    for module in SOURCES:
        source(module)


def source(module: GoModule) -> Path:
    """Return the folder with the source of a Go module. Go downloads the source at the first call."""
    shown = _go("mod", "download", "-json", f"{module.path}@{module.version}", folder=ROOT)
    return Path(json.loads(shown)["Dir"])


def _build(module: GoModule, programs: list[str]) -> None:
    print(f"building {', '.join(programs)} {module.version}: minutes, once", file=sys.stderr)
    build = CACHE / "build" / module.folder.name
    build.mkdir(parents=True, exist_ok=True)
    module.folder.mkdir(exist_ok=True)
    (build / "go.mod").write_text(_module_file(module), encoding="utf-8")
    imports = "\n".join(f'import _ "{module.package(name)}"' for name in programs)
    (build / "tools.go").write_text(f"//go:build tools\n\npackage build\n\n{imports}\n", encoding="utf-8")
    _go("mod", "tidy", folder=build)
    # the API server does not start without a version
    libraries = ("component-base", "client-go/pkg")
    variables = [f"-X k8s.io/{library}/version.gitVersion={module.version}" for library in libraries]
    for name in programs:
        target = str(module.folder / name)
        _go("build", "-ldflags", " ".join(variables), "-o", target, module.package(name), folder=build)
    shutil.rmtree(build)


def _module_file(module: GoModule) -> str:
    """Return the go.mod of a module that requires `module`, with the replacements that `module` itself needs."""
    text = (source(module) / "go.mod").read_text(encoding="utf-8")
    version = re.search(r"^go .*$", text, re.MULTILINE)
    assert version is not None
    # Kubernetes publishes the libraries of its folder staging/ as v0.MINOR.PATCH
    staging = module.version.replace("v1.", "v0.", 1)
    libraries = re.findall(r"^\s*(?:replace )?(\S+) => \./staging/", text, re.MULTILINE)
    others = re.findall(r"^replace \S+(?: \S+)? => [^.\s].*$", text, re.MULTILINE)
    replaced = [f"replace {library} => {library} {staging}" for library in libraries]
    lines = ["module build", version[0], f"require {module.path} {module.version}", *replaced, *others]
    return "\n".join(lines) + "\n"


def _go(*words: str, folder: Path) -> str:
    answer = subprocess.run(["go", *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return answer.stdout
