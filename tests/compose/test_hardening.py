"""Security of the containers, as the engine shows it: privileges, users and published ports."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]
OURS = {"resources", "worker", "sqs-exporter", "db-exporter", "celery-exporter", "aws"}
#: Its entrypoint changes the owner of the data folder before it switches to another user.
MAY_ADD = {"postgres": {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID"}}


def service(container):
    return container["Config"]["Labels"]["com.docker.compose.service"]


def test_every_container_has_a_read_only_root_no_capabilities_and_no_new_privileges(stack):
    for container in stack.containers():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], service(container)
        assert host["CapDrop"] == ["ALL"], service(container)
        assert set(host["CapAdd"] or []) <= MAY_ADD.get(service(container), set())
        assert "no-new-privileges:true" in host["SecurityOpt"], service(container)
        assert not host["Privileged"], service(container)


def test_our_images_run_as_an_unprivileged_user(stack):
    users = {service(c): c["Config"]["User"] for c in stack.containers()}
    assert {name: users[name] for name in OURS} == dict.fromkeys(OURS, "10001:10001")


def test_only_prometheus_is_published_and_only_on_the_loopback_interface(stack):
    published = [
        (service(container), binding["HostIp"])
        for container in stack.containers()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    ]
    assert published == [("prometheus", "127.0.0.1")]


def test_a_worker_has_the_limits_of_the_settings(stack):
    for container in (c for c in stack.containers() if service(c) == "worker"):
        assert container["HostConfig"]["Memory"] == 8 << 30
        assert container["HostConfig"]["PidsLimit"] == 4096


def test_exporters_have_no_database_user_with_write_access(stack):
    owner = [service(c) for c in stack.containers() if any("//aforo:" in entry for entry in c["Config"]["Env"])]
    reader = [service(c) for c in stack.containers() if any("//aforo_reader:" in entry for entry in c["Config"]["Env"])]
    assert set(owner) == {"resources", "worker"}
    assert set(reader) == {"resources", "sqs-exporter", "db-exporter"}
    for table in ("runs", "videos", "executions"):
        may = (f"has_table_privilege('aforo_reader', '{table}', '{what}')" for what in ("SELECT", "INSERT, DELETE"))
        assert stack.sql(f"SELECT {', '.join(may)}") == [["t", "f"]]


def test_no_container_has_the_socket_of_the_engine(stack):
    mounts = {mount.get("Source", "") for container in stack.containers() for mount in container["Mounts"]}
    assert not any(source.endswith("docker.sock") for source in mounts)
