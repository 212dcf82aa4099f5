"""The Terraform module, parsed: its resources, and the actions of each role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hcl2

FOLDER = Path(__file__).parents[2] / "deploy/aws/terraform"


def blocks(kind: str) -> list[dict[str, Any]]:
    """Return the blocks of one kind (resource, data, variable, output) of all files of the module."""
    parsed = (hcl2.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.tf")))
    return [unquoted(block) for file in parsed for block in file.get(kind, [])]


def unquoted(value: Any) -> Any:
    """Return a parsed value with strings and names as they are, without the quotes that the parser keeps."""
    if isinstance(value, dict):
        return {unquoted(name): unquoted(each) for name, each in value.items() if name != "__is_block__"}
    if isinstance(value, list):
        return [unquoted(each) for each in value]
    is_quoted = isinstance(value, str) and value.startswith('"')
    return value[1:-1].replace('\\"', '"') if is_quoted else value


def named(kind: str, type_: str) -> dict[str, dict[str, Any]]:
    """Return the blocks of one resource or data type by name."""
    return {name: body for block in blocks(kind) for name, body in block.get(type_, {}).items()}


def variables() -> dict[str, Any]:
    """Return the default of each variable, None without one."""
    return {name: body.get("default") for block in blocks("variable") for name, body in block.items()}


def statements(role: str) -> list[dict[str, Any]]:
    """Return the statements of a role's policy, those of `dynamic` blocks too."""
    policy = named("data", "aws_iam_policy_document")[role]
    dynamic = [content for block in policy.get("dynamic", []) for content in block["statement"]["content"]]
    return [*policy["statement"], *dynamic]
