"""boto3 clients with timeouts of a few seconds, because most of their calls run in the event loop."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from kombu.transport import SQS

#: for calls in the event loop: 5 s, no retry
SHORT = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
#: for all other calls: botocore's defaults are timeouts of 60 s and five attempts
USUAL = Config(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3})


class TimedChannel(SQS.Channel):
    """kombu's channel with timeouts of a few seconds and a configurable endpoint."""

    release_client_config = SHORT

    def __init__(self, *args: Any, **options: Any) -> None:
        self._short_clients: dict[str, tuple[Any, Any]] = {}  # queue -> kombu's client, its short copy
        super().__init__(*args, **options)

    @property
    def endpoint_url(self) -> str | None:
        """Return the endpoint of the broker URL or of the option `endpoint_url`.

        None means that boto3 chooses the endpoint. Defect: without a host in the URL, kombu uses its default host,
        `localhost`, as the endpoint.
        """
        host, port = self.conninfo.hostname, self.conninfo.port
        is_named = host not in {None, "localhost"} or port is not None
        endpoint: str | None = super().endpoint_url if is_named else self.transport_options.get("endpoint_url")
        return endpoint

    def short_client(self, queue: str) -> Any:
        """Return a client for the event loop. A call takes at most 5 s and is not retried."""
        if self.predefined_queues and self.transport_options.get("sts_role_arn"):
            return self._short_copy(queue, self.sqs(queue=queue))
        if queue not in self._short_clients:
            options = self.predefined_queues.get(queue, {})
            client = self._new_boto_client(
                service="sqs",
                region=options.get("region", self.region),
                access_key_id=options.get("access_key_id", self.conninfo.userid),
                secret_access_key=options.get("secret_access_key", self.conninfo.password),
                config=SHORT,
            )
            self._short_clients[queue] = client, client
        return self._short_clients[queue][1]

    def _short_copy(self, queue: str, client: Any) -> Any:
        """Return a copy of kombu's client, with the STS token of that client.

        kombu creates a client for each new token.
        """
        original, copy = self._short_clients.get(queue, (None, None))
        if original is not client:
            copy = self._new_release_client(client)
            self._short_clients[queue] = client, copy
        return copy

    def _new_boto_client(self, *args: Any, config: Config | None = None, **options: Any) -> Any:
        """Return a client whose calls end within a minute, unless the app sets `client-config`.

        Defect: kombu uses botocore's defaults, a timeout of 60 s and five attempts.
        """
        of_app = Config(**(self.transport_options.get("client-config") or {}))
        return super()._new_boto_client(*args, config=config or USUAL.merge(of_app), **options)

    @staticmethod
    def generate_sts_session_token(role_arn: str, token_expiry_seconds: int) -> Any:
        """Return an STS session token.

        kombu requests the token in the event loop, with botocore's timeouts.
        """
        client = boto3.client("sts", config=SHORT)
        answer = client.assume_role(RoleArn=role_arn, RoleSessionName="Celery", DurationSeconds=token_expiry_seconds)
        return answer["Credentials"]
