"""`python -m aforo`: command line of the library, for the machine on which a worker runs."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from aforo import __version__
from aforo.bandwidth import Limits, disk_limits, object_limits
from aforo.stored_limits import store_limits


@click.group(epilog="Example: python -m aforo version")
def main() -> None:
    """Commands of the Aforo library, for the machine on which a worker runs."""


@main.command()
def version() -> None:
    """Print the version of the installed Aforo library."""
    click.echo(__version__)


@main.command("measure-limits", epilog="Example: python -m aforo measure-limits --s3 s3://bucket/processed")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    default=tempfile.gettempdir,
    help="Folder on the disk that the worker uses.  [default: that of temporary files]",
)
@click.option("--s3", "bucket", metavar="s3://BUCKET/PREFIX", help="Measure this bucket too, with four small objects.")
def measure_limits(folder: Path, bucket: str | None) -> None:
    """Measure the bandwidth of this machine's disk, and of S3 with --s3, before a worker starts.

    Takes some seconds. Writes, reads and deletes a file of up to 256 MiB. With --s3, also moves about 90 MB to and from
    S3. Workers that this user starts within a day export the bandwidth in /metrics.

    Exit codes: 0 measured, 2 wrong input, 3 the measurement failed.
    """
    limits = _measured("--folder", folder, lambda: disk_limits(folder))
    if bucket is not None:
        limits |= _measured("--s3", bucket, lambda: _object_limits(bucket))
    file = _measured("limits", folder, lambda: store_limits(limits))
    for name, value in limits.items():
        click.echo(f"{name}: {value / 1e6:.1f} MB/s")
    click.echo(f"stored in {file}; start the worker now", err=True)


def _object_limits(place: str) -> Limits:
    name, _, prefix = place.removeprefix("s3://").partition("/")
    if not place.startswith("s3://") or not name:
        raise click.BadParameter("give s3://BUCKET or s3://BUCKET/PREFIX", param_hint="--s3")
    if importlib.util.find_spec("boto3") is None:
        raise ModuleNotFoundError("boto3 is not installed: pip install boto3")
    import boto3  # noqa: PLC0415 (an optional package)

    return object_limits(boto3.client("s3"), name, f"{prefix.rstrip('/')}/" if prefix else "")


def _measured(option: str, place: Any, measure: Callable[[], Any]) -> Any:
    """Return the result of a measurement, or end the program with one line that says why there is none."""
    try:
        return measure()
    except (click.ClickException, KeyboardInterrupt):
        raise
    except Exception as error:
        _fail(f"{option} ({place}); {str(error).strip().splitlines()[0] or type(error).__name__}")


def _fail(text: str) -> NoReturn:
    click.echo(f"error: {text}; correct that, and measure again", err=True)
    raise SystemExit(3)


if __name__ == "__main__":
    main(prog_name="python -m aforo")
