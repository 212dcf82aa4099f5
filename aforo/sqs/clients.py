"""boto3 clients for SQS with short timeouts, so that a slow SQS does not block the worker."""

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
    """kombu's SQS channel, with short timeouts for its boto3 clients and a configurable endpoint."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._short_clients: dict[str, tuple[Any, Any]] = {}  # queue -> kombu's client, its short copy
        super().__init__(*args, **options)

    @property
    def endpoint_url(self) -> str | None:
        """Return the URL of the SQS endpoint, from the broker URL or the transport option `endpoint_url`.

        If the result is None, boto3 chooses the endpoint.
        """
        # corrects a defect: without a host in the broker URL, kombu uses `localhost` as the endpoint
        host, port = self.conninfo.hostname, self.conninfo.port
        is_named = host not in {None, "localhost"} or port is not None
        endpoint: str | None = super().endpoint_url if is_named else self.transport_options.get("endpoint_url")
        return endpoint

    def short_client(self, queue: str) -> Any:
        """Return a boto3 SQS client for calls to `queue` in the event loop.

        Each call takes at most 5 s and is not retried.
        """
        if self.predefined_queues and self.transport_options.get("sts_role_arn"):
            return self._short_copy(queue, self.sqs(queue=queue))
        if queue not in self._short_clients:
            options = self.predefined_queues.get(queue, {})
            client = self._new_boto_client(
                "sqs",
                options.get("region", self.region),
                options.get("access_key_id", self.conninfo.userid),
                options.get("secret_access_key", self.conninfo.password),
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
            keys = client._request_signer._credentials.get_frozen_credentials()
            region = client.meta.region_name
            copy = self._new_boto_client("sqs", region, keys.access_key, keys.secret_key, keys.token, SHORT)
            self._short_clients[queue] = client, copy
        return copy

    def new_sqs_client(
        self, region: str, access_key_id: str, secret_access_key: str, session_token: str | None = None
    ) -> Any:
        """Return a boto3 SQS client whose calls last at most about a minute, with all retries.

        The app's transport option `client-config` overrides the timeouts and the number of retries.
        """
        return self._new_boto_client("sqs", region, access_key_id, secret_access_key, session_token)

    def _new_boto_client(
        self,
        service: str,
        region: str,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        config: Config | None = None,
    ) -> Any:
        """Return a client of any service.

        This method corrects a defect: kombu uses botocore's defaults, a timeout of 60 s and five attempts.
        """
        of_app = Config(**(self.transport_options.get("client-config") or {}))
        session: Any = boto3.Session(
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            aws_session_token=session_token,
        )
        options = {"use_ssl": self.is_secure is not False, "endpoint_url": self.endpoint_url or None}
        return session.client(service, config=config or USUAL.merge(of_app), **options)

    @staticmethod
    def generate_sts_session_token(role_arn: str, token_expiry_seconds: int) -> Any:
        """Return temporary AWS credentials for the role `role_arn`, requested with a short timeout.

        The result is the dict `Credentials` in the answer of AWS STS. The credentials expire after
        `token_expiry_seconds`.
        """
        # corrects a defect: kombu makes this call in the event loop with botocore's long timeouts
        client = boto3.client("sts", config=SHORT)
        answer = client.assume_role(RoleArn=role_arn, RoleSessionName="Celery", DurationSeconds=token_expiry_seconds)
        return answer["Credentials"]
