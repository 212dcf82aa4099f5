"""Store executions that the collector reads from instrumented workers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

EXECUTION_COLUMNS: dict[str, Any] = {
    "spool_number": sa.BigInteger(),
    "task": sa.String(length=255),
    "task_id": sa.String(length=255),
    "retries": sa.Integer(),
    "queue_wait_seconds": sa.Double(),
    "cpu_seconds": sa.Double(),
    "stage_seconds": sa.JSON(),
    "sent_task_ids": sa.JSON(),
}


def upgrade() -> None:
    op.add_column("runs", sa.Column("executions_missed", sa.Integer(), nullable=True))
    op.create_index("videos_task", "videos", ["task_id"])
    for name, kind in EXECUTION_COLUMNS.items():
        op.add_column("executions", sa.Column(name, kind, nullable=True))
    op.create_index("executions_spool_number", "executions", ["worker", "spool_number"], unique=True)
    op.create_table(
        "spools",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("missed", sa.BigInteger(), nullable=False),
        sa.Column("complete_at", sa.Double(), nullable=True),
        sa.Column("read_at", sa.Double(), nullable=False),
        sa.Column("clock_offset_seconds", sa.Double(), nullable=True),
        sa.Column("round_trip_seconds", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "other_executions",
        sa.Column("spool", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("root_id", sa.String(length=255), nullable=True),
        sa.Column("record", sa.JSON(), nullable=True),
        sa.Column("run_id", sa.String(length=63), nullable=True),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("spool", "number"),
    )
    op.create_index("other_executions_root", "other_executions", ["root_id"])
    op.create_index("other_executions_run", "other_executions", ["run_id"])


def downgrade() -> None:
    op.drop_table("other_executions")
    op.drop_table("spools")
    op.drop_index("executions_spool_number", "executions")
    for name in EXECUTION_COLUMNS:
        op.drop_column("executions", name)
    op.drop_index("videos_task", "videos")
    op.drop_column("runs", "executions_missed")
