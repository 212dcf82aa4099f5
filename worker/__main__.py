"""`python -m worker`: check the surroundings, then run a Celery worker."""

from __future__ import annotations

import dataclasses

import click

from pipeline import aws, cli, database, logs, queue
from pipeline.settings import Settings
from worker import app
from worker.queue_contract import require_contract
from worker.transcode import require_ffmpeg


@click.command(epilog="Example: python -m worker --concurrency 4")
@click.option("--concurrency", type=click.IntRange(1, 512), help="Slots [env: AFORO_WORKER_CONCURRENCY, default 2].")
@click.option("--pool", type=click.Choice(["prefork", "threads", "solo"]), default="prefork", show_default=True)
@click.option("--loglevel", default="INFO", show_default=True)
def main(concurrency: int | None, pool: str, loglevel: str) -> None:
    """Run a worker that processes videos from SQS until it is told to stop."""
    logs.configure(loglevel)
    settings = _with_concurrency(Settings.from_process(), concurrency)
    _prepare(settings)
    made = app.create_app(settings)
    app.serve_metrics(made, settings)
    slots = str(settings.worker.concurrency)
    flags = ["--pool", pool, "--concurrency", slots, "--loglevel", loglevel, "-Ofair"]
    made.celery.worker_main(["worker", *flags, "--without-gossip", "--without-mingle", "--events"])


def _with_concurrency(settings: Settings, concurrency: int | None) -> Settings:
    if concurrency is None:
        return settings
    return dataclasses.replace(settings, worker=dataclasses.replace(settings.worker, concurrency=concurrency))


def _prepare(settings: Settings) -> None:
    require_ffmpeg()
    client = aws.client(settings, "sqs")
    queue.find_queue(client, settings.queue.name)
    require_contract(client, settings)
    database.upgrade_schema(database.open_engine(settings.database.url))
    app.sweep_work_folder(settings)


if __name__ == "__main__":
    cli.run(main, "python -m worker")
