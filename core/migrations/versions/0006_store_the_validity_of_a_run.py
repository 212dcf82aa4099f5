"""Store the validity of a run: its level, and the codes of the reasons."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as batch_op:
        batch_op.add_column(sa.Column("validity", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("validity_reasons", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("runs") as batch_op:
        batch_op.drop_column("validity_reasons")
        batch_op.drop_column("validity")
