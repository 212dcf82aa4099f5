"""CPU model and instance type from the files of the kernel."""

import pytest

from aforo.machine import cpu_model, instance_type, smt

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz
"""
ARM64 = """processor\t: {number}
BogoMIPS\t: 243.75
CPU implementer\t: {implementer}
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: {part}
CPU revision\t: 1

"""


def arm64(*parts, implementer="0x41"):
    return "".join(ARM64.format(number=k, implementer=implementer, part=part) for k, part in enumerate(parts))


@pytest.fixture
def model(tmp_path):
    """Return a function that gives the CPU model of a /proc/cpuinfo with this text."""

    def read(text):
        (tmp_path / "cpuinfo").write_text(text)
        return cpu_model(tmp_path / "cpuinfo")

    return read


def test_the_model_name_of_x86(model):
    assert model(X86) == "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz"


@pytest.mark.parametrize(
    ("part", "name"),
    [("0xd08", "Graviton 1"), ("0xd0c", "Graviton 2"), ("0xd40", "Graviton 3"), ("0xd4f", "Graviton 4")],
)
def test_the_generations_of_graviton_are_told_apart(model, part, name):
    assert model(arm64(part, part)).startswith(f"arm64 0x41 {part} (")
    assert model(arm64(part, part)).endswith(f"{name})")


def test_an_unknown_core_is_its_numbers_and_two_kinds_of_cores_are_both_named(model):
    assert model(arm64("0x022", implementer="0x61")) == "arm64 0x61 0x022"
    assert model(arm64("0xfff", "0xffe", "0xfff")) == "arm64 0x41 0xffe + arm64 0x41 0xfff"


@pytest.mark.parametrize(
    ("vendor", "product", "expected"),
    [
        ("Amazon EC2", "m7g.xlarge", "m7g.xlarge"),
        ("Xen", "HVM domU", "unknown"),
        ("QEMU", "Standard PC", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_the_instance_type_of_ec2_is_its_product_name(tmp_path, vendor, product, expected):
    for name, text in (("sys_vendor", vendor), ("product_name", product)):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n")
    assert instance_type(tmp_path) == expected


@pytest.mark.parametrize(("text", "expected"), [("1\n", True), ("0\n", False), (None, None)])
def test_simultaneous_multithreading_may_be_unknown(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "active").write_text(text)
    assert smt(tmp_path / "active") is expected
