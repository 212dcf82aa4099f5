"""Widen the label of a run's size, because a mix of sizes has a longer one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SHORT, LONG = sa.String(length=16), sa.String(length=64)


def upgrade() -> None:
    # SQLite does not enforce the length of a text, and would copy the whole table
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("runs", "size_label", existing_type=SHORT, type_=LONG, existing_nullable=False)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        shortened = "left(size_label, 16)"
        op.alter_column(
            "runs", "size_label", existing_type=LONG, type_=SHORT, existing_nullable=False, postgresql_using=shortened
        )
