"""Remote write: how this stack's Prometheus sends a copy of every sample to a central store.

`python -m core.remote_write < prometheus.yml` adds the remote write to a Prometheus configuration, and prints the
result. The result names the file with the secret of the central store, but never contains the secret.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import sys
import urllib.error
import urllib.request

import click

from core import cli
from core.errors import EnvironmentFault, UsageError, first_line
from core.metrics import CATALOGUE
from core.settings import Prometheus, Settings
from core.user_files import read_text

URL, LABELS, FILE = "AFORO_REMOTE_WRITE_URL", "AFORO_PROMETHEUS_LABELS", "AFORO_REMOTE_WRITE_CREDENTIALS_FILE"
#: Labels that some series have already. Prometheus keeps theirs, so an external label of that name would be lost.
TAKEN_LABELS = frozenset(
    {"job", "instance", "alertname", "alertstate", "severity", "product", "le", "quantile"}
    | {label for metric in CATALOGUE.values() for label in metric.labels}
)
#: Answers to a write that no repetition will turn into a success.
REMEDIES = {
    301: "give the address to which it redirects",
    302: "give the address to which it redirects",
    307: "give the address to which it redirects",
    308: "give the address to which it redirects",
    401: f"check AFORO_REMOTE_WRITE_USER, {FILE} and AFORO_REMOTE_WRITE_TENANT",
    403: f"check AFORO_REMOTE_WRITE_USER, {FILE} and AFORO_REMOTE_WRITE_TENANT",
    404: "check the path: Prometheus needs --web.enable-remote-write-receiver and /api/v1/write, Mimir /api/v1/push",
    405: "check the path: Prometheus needs --web.enable-remote-write-receiver and /api/v1/write, Mimir /api/v1/push",
}
#: A write request without samples: the snappy encoding of zero bytes.
EMPTY_WRITE = b"\x00"
ANSWER_SECONDS = 5.0
MOST_SECRET_BYTES = 100_000


def check_remote_write(prometheus: Prometheus) -> None:
    """Raise UsageError if the settings of the remote write are invalid.

    An external label needs a valid name that no series uses. A central store needs at least one external label. A user
    name needs a credentials file. The credentials file must be readable, and hold one line.
    """
    for name in prometheus.labels:
        if not re.fullmatch(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", name):
            raise UsageError(LABELS, "it is no label name", "use letters, digits and _", value=name)
        if name in TAKEN_LABELS:
            why = "series have a label of that name already, which Prometheus keeps"
            raise UsageError(LABELS, why, "choose another name, such as team or site", value=name)
    if prometheus.remote_write_url is None:
        return
    if not prometheus.labels:
        why = "the series of two stacks would be mixed without one"
        raise UsageError(LABELS, why, f"give a label, such as team=video, or leave {URL} empty")
    if prometheus.remote_write_user and prometheus.remote_write_credentials_file is None:
        raise UsageError(FILE, "the user has no password", "name a file that holds only the password")
    _secret(prometheus)


def with_remote_write(configuration: str, prometheus: Prometheus) -> str:
    """Add the remote write and the external labels to the text of a Prometheus configuration.

    `configuration` must have the blocks `global:` and `scrape_configs:`. Return the text unchanged if the settings
    `prometheus` have no URL and no labels.
    """
    if prometheus.labels:
        labels = f"global:\n  external_labels: {json.dumps(dict(prometheus.labels))}\n"
        configuration = re.sub(r"(?m)^global:\n", lambda _: labels, configuration, count=1)
    if prometheus.remote_write_url is None:
        return configuration
    block = f"remote_write:\n  - {json.dumps(_entry(prometheus))}\n\n"
    return re.sub(r"(?m)^(?=scrape_configs:)", lambda _: block, configuration, count=1)


def require_receiver(prometheus: Prometheus) -> None:
    """Check that the central store accepts writes, by sending one write without samples.

    Raise EnvironmentFault if the store does not answer, redirects the write, refuses the credentials, or has no
    receiver at this URL. Ignore other HTTP errors, such as 503. Without a URL in the settings, check nothing.
    """
    if prometheus.remote_write_url is None:
        return
    request = urllib.request.Request(  # noqa: S310 - the setting allows http and https only
        prometheus.remote_write_url, EMPTY_WRITE, _headers(prometheus)
    )
    try:
        with _OPENER.open(request, timeout=ANSWER_SECONDS):
            return
    except urllib.error.HTTPError as error:
        if error.code in REMEDIES:
            why = f"it answers {error.code} {error.reason}"
            raise EnvironmentFault(URL, why, REMEDIES[error.code], value=prometheus.remote_write_url) from None
    except (OSError, http.client.HTTPException) as error:
        why = f"it does not answer: {first_line(getattr(error, 'reason', error))}"
        remedy = "check host and port, or leave it empty to measure without a central store"
        raise EnvironmentFault(URL, why, remedy, value=prometheus.remote_write_url) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Handler that reports a redirect as an error: Prometheus does not repeat a write elsewhere."""

    def redirect_request(self, *_: object) -> None:
        """Return None, which tells urllib to raise HTTPError for a redirect instead of following it."""


#: Prometheus uses no proxy of the environment either.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _entry(prometheus: Prometheus) -> dict[str, object]:
    """Return the entry of `remote_write`, with the path of the secret and never the secret."""
    file, user = prometheus.remote_write_credentials_file, prometheus.remote_write_user
    entry: dict[str, object] = {"url": prometheus.remote_write_url}
    if prometheus.remote_write_tenant:
        entry["headers"] = {"X-Scope-OrgID": prometheus.remote_write_tenant}
    if file is not None and user:
        entry["basic_auth"] = {"username": user, "password_file": str(file.absolute())}
    elif file is not None:
        entry["authorization"] = {"type": "Bearer", "credentials_file": str(file.absolute())}
    return entry


def _headers(prometheus: Prometheus) -> dict[str, str]:
    """Return the headers that Prometheus sends with a write."""
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    if prometheus.remote_write_tenant:
        headers["X-Scope-OrgID"] = prometheus.remote_write_tenant
    secret, user = _secret(prometheus), prometheus.remote_write_user
    if secret and user:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"
    elif secret:
        headers["Authorization"] = f"Bearer {secret}"
    return headers


def _secret(prometheus: Prometheus) -> str:
    """Return the password or token in the credentials file, or '' without a file. Raise UsageError if it has none."""
    file = prometheus.remote_write_credentials_file
    if file is None:
        return ""
    secret = read_text(FILE, file, "name a readable file", MOST_SECRET_BYTES).strip()
    if not secret or not secret.isprintable():
        raise UsageError(FILE, "it must hold one line", "write the password or the token into it", value=file)
    return secret


@click.command()
def main() -> None:
    """Read a Prometheus configuration from standard input, add the remote write to it, and print it.

    Exit with code 2 if a setting is invalid, and with code 3 if the central store does not answer.
    """
    prometheus = Settings.from_process().prometheus
    check_remote_write(prometheus)
    require_receiver(prometheus)
    click.echo(with_remote_write(sys.stdin.read(), prometheus), nl=False)


if __name__ == "__main__":
    cli.run(main, "python -m core.remote_write")
