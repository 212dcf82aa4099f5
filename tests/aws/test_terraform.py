"""The Terraform module gives each role the calls of docs/operating.md, and makes a queue that the worker accepts.

Only parsers of HCL have seen the module: python-hcl2, and `terraform fmt` where it is installed. No AWS account has.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from botocore.session import Session

from core.queue_contract import Level, check_contract
from core.settings import Settings
from provision.queue import RETENTION_SECONDS
from testing.emulator import sqs_client
from tests.aws.terraform import FOLDER, blocks, named, statements, variables
from tests.kubernetes.manifests import manifests
from tests.test_permissions import ACTIONS, SOURCES, calls, rows

ROLES = ("worker", "injector", "exporters")
QUEUE, DEAD_LETTERS = "aws_sqs_queue.videos.arn", "aws_sqs_queue.dead_letters.arn"


def actions(role, service="", resource=""):
    """Return the role's actions without their service, on resources whose expression contains `resource`."""
    return {
        action.partition(":")[2]
        for statement in statements(role)
        for action in statement["actions"]
        if action.startswith(service) and any(resource in each for each in statement["resources"])
    }


def documented(role):
    """Return the actions of the role in docs/operating.md, by column: queue, dead-letter queue, S3."""
    text = (FOLDER.parents[2] / "docs/operating.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.lower().startswith(f"| {role} |"))
    cells = row.strip("|").split("|")[1:]
    found = [set(re.findall(r"\b[A-Z][a-z]+[A-Za-z]+\b", cell)) for cell in cells]
    return dict(zip(("queue", "dead_letters", "s3"), found, strict=True))


def cancelling():
    """Return the further actions of `make matrix`, which the injector's role has by `allow_matrix`."""
    return {"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"}


@pytest.mark.parametrize("role", [*ROLES, "keda"])
def test_a_role_has_exactly_the_documented_actions(role):
    expected = documented(role)
    more = cancelling() if role == "injector" else set()
    assert actions(role, "sqs:", QUEUE) == (expected["queue"] | more) - {"ListQueues"}
    assert actions(role, "sqs:", DEAD_LETTERS) == expected["dead_letters"]
    assert actions(role, "s3:") == expected["s3"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_every_call_of_its_program(role):
    needed = {ACTIONS[name] for name in calls(SOURCES[role]) & ACTIONS.keys()} - {"ListQueues"}
    assert needed
    assert needed <= actions(role)


def test_the_injectors_role_covers_make_matrix():
    matrix = {ACTIONS[name] for name in calls(SOURCES["`make matrix`, `search`"]) & ACTIONS.keys()}
    assert matrix <= actions("injector")
    assert cancelling() == rows()["`make matrix`, `search`"]


def test_the_machines_role_covers_make_doctor():
    policies = named("resource", "aws_iam_role_policy")["machine"]["for_each"]
    allowed = [re.search(r"aws_iam_policy_document\.(\w+)\.json", each)[1] for each in policies.values()]
    assert sorted(allowed) == ["doctor", "exporters", "injector", "worker"]
    for prefix in ("upload_prefix", "processed_prefix"):
        tried = {ACTIONS[name] for name in ("put_object", "get_object", "delete_object")}
        assert tried <= set().union(*(actions(policy, "s3:", prefix) for policy in allowed))
    of_bucket = set().union(*(actions(policy, "s3:") for policy in allowed))
    assert documented("`make doctor`")["s3"] <= of_bucket


@pytest.mark.parametrize("role", [*ROLES, "keda"])
def test_an_action_exists_and_is_on_no_other_resource(role):
    session = Session()
    operations = {name for service in ("sqs", "s3") for name in session.get_service_model(service).operation_names}
    #: IAM's names of calls that S3's API names otherwise
    operations |= {"ListBucket", "ListBucketMultipartUploads"}
    assert actions(role) <= operations
    ours = re.compile(r"\$\{(aws_sqs_queue\.\w+|aws_s3_bucket\.videos)\.arn\}(/\$\{var\.\w+_prefix\}\*)?")
    assert all(ours.fullmatch(each) for statement in statements(role) for each in statement["resources"])


def trust():
    """Return the statement for services and the one for pods, of the policy that says who may use a role."""
    policy = named("data", "aws_iam_policy_document")["trust"]
    (services,), (pods,) = policy["statement"], (block["statement"] for block in policy["dynamic"])
    return services, pods


def test_a_pod_gets_its_role_by_its_service_account_and_only_with_an_oidc_provider():
    services, pods = trust()
    assert services["principals"] == [{"type": "Service", "identifiers": "${var.trusted_services}"}]
    (content,) = pods["content"]
    assert content["actions"] == ["sts:AssumeRoleWithWebIdentity"]
    assert content["principals"] == [{"type": "Federated", "identifiers": ["${var.oidc_provider_arn}"]}]
    assert [(each["test"], each["variable"], each["values"]) for each in content["condition"]] == [
        ("StringEquals", "${local.oidc_issuer}:sub", ["system:serviceaccount:${statement.value}"]),
        ("StringEquals", "${local.oidc_issuer}:aud", ["sts.amazonaws.com"]),
    ]
    assert pods["for_each"] == "${local.has_kubernetes ? each.value : []}"
    assert variables()["oidc_provider_arn"] == ""


def test_the_service_accounts_are_those_of_the_manifests():
    (local,) = blocks("locals")
    accounts = local["service_accounts"]
    ours = {each["metadata"]["name"] for each in manifests("ServiceAccount")}
    assert {name: accounts[name] for name in ours} == {name: [f"aforo:{name}"] for name in ours}
    assert {name: accounts[name] for name in accounts.keys() - ours} == {
        "keda": ["${var.keda_service_account}"],
        "machine": [],
    }


@pytest.mark.parametrize("role", [*ROLES, "keda", "machine"])
def test_a_role_is_used_by_its_own_service_account(role):
    body = named("resource", "aws_iam_role")[role]
    assert body["assume_role_policy"] == f'${{data.aws_iam_policy_document.trust["{role}"].json}}'


@pytest.mark.parametrize(
    ("arn", "issuer"),
    [("arn:aws:iam::1:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/AB", "oidc.eks.eu-west-1.amazonaws.com/id/AB")],
)
def test_terraform_computes_the_issuer_that_the_conditions_name(tmp_path, arn, issuer):
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    (local,) = blocks("locals")
    declared = (FOLDER / "variables.tf").read_text(encoding="utf-8")
    (tmp_path / "variables.tf").write_text(declared, encoding="utf-8")
    expressions = [local[name].removeprefix("${").removesuffix("}") for name in ("oidc_issuer", "has_kubernetes")]
    (tmp_path / "expressions").write_text(f"jsonencode([{', '.join(expressions)}])\n", encoding="utf-8")
    command = ["terraform", "console", "-var", "bucket_name=b", "-var", f"oidc_provider_arn={arn}"]
    done = subprocess.run(
        command, cwd=tmp_path, stdin=(tmp_path / "expressions").open(), capture_output=True, text=True, check=True
    )
    assert json.loads(json.loads(done.stdout)) == [issuer, True]


def test_every_reference_is_declared():
    text = "".join(file.read_text(encoding="utf-8") for file in FOLDER.glob("*.tf"))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(variables())
    made = {(kind, name) for block in blocks("resource") for kind, names in block.items() for name in names}
    referenced = set(re.findall(r"(?<![\w.])(aws_\w+)\.(\w+)\.", re.sub(r"data\.aws_\w+\.\w+", "", text)))
    assert referenced
    assert referenced <= made


def test_the_defaults_are_those_of_the_settings():
    settings, defaults = Settings.from_env({}), variables()
    assert defaults["queue_name"] == settings.queue.name
    assert defaults["visibility_timeout_seconds"] == settings.queue.visibility_timeout_seconds
    assert defaults["max_receive_count"] == settings.queue.max_receive_count
    assert defaults["upload_prefix"] == settings.storage.upload_prefix
    assert defaults["processed_prefix"] == settings.storage.processed_prefix


def test_the_env_output_names_declared_settings():
    (env,) = (block["env"]["value"] for block in blocks("output") if "env" in block)
    names = re.findall(r"(?m)^\s*([A-Z_0-9]+)=", env)
    shown = (FOLDER.parents[2] / ".env.example").read_text(encoding="utf-8")
    assert "AWS_S3_BUCKET" in names
    assert [name for name in names if f"#{name}=" not in shown] == []


def test_the_worker_accepts_a_queue_with_the_attributes_of_the_module(emulator):
    """The attributes go to the emulator under the names of the API, and core judges the queue."""
    client, defaults, queues = sqs_client(emulator), variables(), named("resource", "aws_sqs_queue")
    dead = queues["dead_letters"]
    dead_url = client.create_queue(
        QueueName="terraform-dlq", Attributes={"MessageRetentionPeriod": str(dead["message_retention_seconds"])}
    )["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "{defaults["max_receive_count"]}"}}'
    queue = queues["videos"]
    assert queue["visibility_timeout_seconds"] == "${var.visibility_timeout_seconds}"
    assert "maxReceiveCount = var.max_receive_count" in re.sub(r"\s+", " ", queue["redrive_policy"])
    attributes = {
        "VisibilityTimeout": str(defaults["visibility_timeout_seconds"]),
        "MessageRetentionPeriod": str(queue["message_retention_seconds"]),
        "ReceiveMessageWaitTimeSeconds": str(queue["receive_wait_time_seconds"]),
        "RedrivePolicy": redrive,
    }
    client.create_queue(QueueName="terraform", Attributes=attributes)
    settings = Settings.from_env({"AWS_ENDPOINT_URL": emulator, "SQS_QUEUE_NAME": "terraform"})
    findings = check_contract(client, settings)
    assert len(findings) >= 6
    assert [finding.line for finding in findings if finding.level is not Level.OK] == []
    assert dead["message_retention_seconds"] == RETENTION_SECONDS


def test_terraform_reads_the_module_and_would_format_nothing():
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    done = subprocess.run(["terraform", "fmt", "-check", "-diff", FOLDER], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
