"""The clients kombu talks to SQS with; none of them may wait for minutes, because most are used in the event loop."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from kombu.transport import SQS

from aforo.sqs.redelivery import SHORT
from core.aws import client_options


class TimedChannel(SQS.Channel):
    """kombu's channel with timeouts of seconds, and the endpoint this process was told."""

    release_client_config = SHORT

    def __init__(self, *args: Any, **options: Any) -> None:
        self._short_clients: dict[str, tuple[Any, Any]] = {}  # queue -> kombu's client it was made for, and itself
        super().__init__(*args, **options)

    @property
    def endpoint_url(self) -> str | None:
        """Return the endpoint the broker URL names, or option `endpoint_url`; else boto3's own settings name it.

        Defect: kombu takes `localhost`, its default where no URL names a host, for an endpoint.
        """
        host, port = self.conninfo.hostname, self.conninfo.port
        is_named = host not in {None, "localhost"} or port is not None
        found: str | None = super().endpoint_url if is_named else self.transport_options.get("endpoint_url")
        return found

    def short_client(self, queue: str) -> Any:
        """Return a client for the event loop: no call takes longer than 5 s, and none is repeated."""
        if self.predefined_queues and self.transport_options.get("sts_role_arn"):
            return self._short_copy(queue, self.sqs(queue=queue))
        if queue not in self._short_clients:
            options = self.predefined_queues.get(queue, {})
            made = self._new_boto_client(
                service="sqs",
                region=options.get("region", self.region),
                access_key_id=options.get("access_key_id", self.conninfo.userid),
                secret_access_key=options.get("secret_access_key", self.conninfo.password),
                config=SHORT,
            )
            self._short_clients[queue] = made, made
        return self._short_clients[queue][1]

    def _short_copy(self, queue: str, theirs: Any) -> Any:
        """Return a copy of the client that has kombu's STS token; kombu makes a new one with each token."""
        known = self._short_clients.get(queue)
        if known is None or known[0] is not theirs:
            known = self._short_clients[queue] = theirs, self._new_release_client(theirs)
        return known[1]

    def _new_boto_client(self, *args: Any, config: Config | None = None, **options: Any) -> Any:
        """Return a client whose calls end within a minute, unless the app's `client-config` says otherwise.

        Defect: kombu leaves it to botocore, whose timeouts are 60 s, five times over.
        """
        theirs = Config(**(self.transport_options.get("client-config") or {}))
        return super()._new_boto_client(*args, config=config or Config(**client_options()).merge(theirs), **options)

    @staticmethod
    def generate_sts_session_token(role_arn: str, token_expiry_seconds: int) -> Any:
        """Return a token, asked for in the event loop; kombu does it with botocore's timeouts."""
        client = boto3.client("sts", config=SHORT)
        answer = client.assume_role(RoleArn=role_arn, RoleSessionName="Celery", DurationSeconds=token_expiry_seconds)
        return answer["Credentials"]
