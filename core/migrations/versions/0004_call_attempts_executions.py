"""Rename the table `attempts` to `executions`, and its column for the number of the execution."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {"run": ["run_id"], "video": ["video_id"], "ended_at": ["ended_at"]}


def upgrade() -> None:
    _rename("attempts", "executions", "attempt", "execution_number")


def downgrade() -> None:
    _rename("executions", "attempts", "execution_number", "attempt")


def _rename(table: str, new_table: str, number: str, new_number: str) -> None:
    for suffix in INDEXES:
        op.drop_index(f"{table}_{suffix}", table_name=table)
    op.rename_table(table, new_table)
    op.alter_column(new_table, number, new_column_name=new_number)
    op.alter_column("videos", number, new_column_name=new_number)
    for suffix, columns in INDEXES.items():
        op.create_index(f"{new_table}_{suffix}", new_table, columns)
