"""Add `executions.worker`: a slot number is unique only in its worker."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("executions", sa.Column("worker", sa.String(128)))


def downgrade() -> None:
    op.drop_column("executions", "worker")
