"""The files for ECS are valid requests of AWS's API, and agree with the settings, the plan and each other.

The schemas are those of botocore. No ECS cluster has seen the files.
"""

from __future__ import annotations

import copy
import json
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from botocore import xform_name
from botocore.session import Session
from botocore.validate import ParamValidator

from core.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/aws/ecs"
REQUESTS = {
    "worker-task.json": ("ecs", "RegisterTaskDefinition"),
    "worker-service.json": ("ecs", "CreateService"),
    "scalable-target.json": ("application-autoscaling", "RegisterScalableTarget"),
    "scaling-policy.json": ("application-autoscaling", "PutScalingPolicy"),
}
#: Memory in MiB that Fargate allows with 2 vCPUs. Source: ECS Developer Guide, task CPU and memory.
FARGATE_MEMORY = {"2048": range(4096, 16385, 1024)}
#: Fargate's longest stopTimeout, and the most of its disk in GiB.
LONGEST_STOP_SECONDS, LARGEST_DISK = 120, 200


def read(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def errors(name, request):
    service, operation = REQUESTS[name]
    shape = Session().get_service_model(service).operation_model(operation).input_shape
    return ParamValidator().validate(request, shape).generate_report()


TASK = read("worker-task.json")
(WORKER,) = TASK["containerDefinitions"]
VARIABLES = {each["name"]: each["value"] for each in WORKER["environment"]}
POLICY = read("scaling-policy.json")
TARGET = POLICY["TargetTrackingScalingPolicyConfiguration"]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_file_is_a_valid_request(name):
    assert errors(name, read(name)) == ""


@pytest.mark.parametrize("name", REQUESTS)
def test_the_schema_sees_an_unknown_field_and_a_wrong_type(name):
    request = read(name)
    assert "Unknown parameter" in errors(name, request | {"desiredcount": 1})
    broken = copy.deepcopy(request)
    broken[next(iter(broken))] = {"wrong": "type"}
    assert "Invalid type" in errors(name, broken)


def test_every_file_is_checked():
    assert {file.name for file in FOLDER.glob("*.json")} == set(REQUESTS)


def test_the_settings_are_valid_and_known():
    settings = Settings.from_env({**VARIABLES, "AFORO_DATABASE_URL": "postgresql://aforo@db/aforo"})
    assert (settings.stack, settings.storage.backend) == ("aws", "s3")
    shown = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert [name for name in VARIABLES if f"#{name}=" not in shown] == []
    assert [each["name"] for each in WORKER["secrets"]] == ["AFORO_DATABASE_URL"]
    assert VARIABLES["AFORO_IMAGE"] == WORKER["image"]


def test_a_stopped_worker_has_time_to_return_its_videos():
    """ECS kills the container after stopTimeout. Then a message would wait for the visibility timeout."""
    assert WORKER["stopTimeout"] <= LONGEST_STOP_SECONDS
    assert WORKER["stopTimeout"] >= int(VARIABLES["AFORO_WORKER_SHUTDOWN_SECONDS"]) + 30
    assert "AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS" not in VARIABLES  # the default, which the module's queue has too


def test_fargate_has_such_a_task():
    assert int(TASK["memory"]) in FARGATE_MEMORY[TASK["cpu"]]
    assert 21 <= TASK["ephemeralStorage"]["sizeInGiB"] <= LARGEST_DISK
    assert "tmpfs" not in WORKER["linuxParameters"]  # Fargate has none


def test_the_health_check_and_the_metrics_are_on_the_same_port():
    (port,) = WORKER["portMappings"]
    assert WORKER["healthCheck"]["command"] == ["CMD", "healthy", str(port["containerPort"])]
    assert Settings.from_env(VARIABLES).worker.metrics_port == port["containerPort"]


def test_the_policy_scales_this_service_on_this_queue():
    service, target = read("worker-service.json"), read("scalable-target.json")
    assert service["taskDefinition"] == TASK["family"]
    keys = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    assert [POLICY[key] for key in keys] == [target[key] for key in keys]
    assert target["ResourceId"] == f"service/{service['cluster']}/{service['serviceName']}"
    named = json.dumps(TARGET)
    assert set(re.findall(r'"QueueName", "Value": "([^"]+)"', named)) == {VARIABLES["SQS_QUEUE_NAME"]}
    assert f'"ServiceName", "Value": "{service["serviceName"]}"' in named


def desired(visible, in_flight, running):
    """Return how many workers target tracking wants: running · metric / target, rounded up."""
    (math_,) = (m for m in TARGET["CustomizedMetricSpecification"]["Metrics"] if m["ReturnData"])
    values = {"visible": visible, "in_flight": in_flight, "running": running}
    metric = eval(math_["Expression"], {"IF": lambda test, yes, no: yes if test else no}, values)  # noqa: S307
    return math.ceil(max(running, 1) * metric / TARGET["TargetValue"])


@pytest.mark.parametrize(
    ("visible", "in_flight", "running", "workers"),
    [(60, 0, 1, 10), (30, 30, 10, 10), (0, 20, 10, 4), (0, 0, 3, 0), (12, 0, 0, 2)],
)
def test_the_metric_gives_one_worker_per_six_messages_waiting_or_at_work(visible, in_flight, running, workers):
    assert desired(visible, in_flight, running) == workers


def test_the_target_is_that_of_the_plan():
    """docs/operating.md has the command that gives the number."""
    words = ["--demand", "30/min", "--wait-p95", "60s", "--service", "30s", "--concurrency", "2"]
    assert shlex.join(words) in (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    answer = subprocess.run(
        [sys.executable, "-m", "capacity", "plan", *words, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    plan = json.loads(answer.stdout)
    assert TARGET["TargetValue"] == plan["keda_queue_length"]
    assert read("scalable-target.json")["MaxCapacity"] >= plan["workers"]
    assert str(plan["demand"]["slots_per_worker"]) == VARIABLES["AFORO_WORKER_CONCURRENCY"]


INGRESS = "authorize-security-group-ingress"
#: options of the AWS CLI that the API has under other names
CLI_ONLY = {"query", "output", "cli-input-json", "protocol", "port", "source-group"}


def documented_commands():
    """Return the words of each AWS command in docs/aws.md."""
    text = (ROOT / "docs/aws.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"(?m)^    (aws .*)$", text)]


@pytest.mark.parametrize("words", documented_commands(), ids=lambda words: " ".join(words[:2]))
def test_a_documented_command_is_one_of_the_api_with_its_options(words):
    """botocore has no schema of the AWS CLI, whose operations and options are those of the API in other letters."""
    model = Session().get_service_model(words[0])
    (operation,) = [each for each in model.operation_names if xform_name(each, "-") == words[1]]
    shape = model.operation_model(operation).input_shape
    members = {xform_name(each, "-"): each for each in shape.members}
    given = {word.removeprefix("--") for word in words[2:] if word.startswith("--")}
    assert given - members.keys() - CLI_ONLY == set()
    if "cli-input-json" not in given:
        assert {name for name, each in members.items() if each in shape.required_members} - given == set()


def test_the_documented_commands_make_every_name_that_prometheus_reads_and_open_its_ports():
    commands = documented_commands()
    text = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
    (jobs,) = (yaml.safe_load(block)["scrape_configs"] for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    lookup, *static = jobs
    addresses = [target for job in static for each in job["static_configs"] for target in each["targets"]]
    (found,) = lookup["dns_sd_configs"]
    hosts = {*found["names"], *(address.partition(":")[0] for address in addresses)}

    def values(operation, option):
        return [words[words.index(option) + 1] for words in commands if operation in words and option in words]

    (zone,) = values("create-private-dns-namespace", "--name")
    assert {f"{name}.{zone}" for name in values("create-service", "--name")} == hosts
    ports = [range(int(a), int(b or a) + 1) for a, _, b in (v.partition("-") for v in values(INGRESS, "--port"))]
    opened = {port for each in ports for port in each}
    assert opened == {found["port"], *(int(address.partition(":")[2]) for address in addresses)}
