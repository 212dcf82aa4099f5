"""Name the queue of each worker, so that the last worker of a queue is known."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("queue", sa.String(length=80), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "queue")
