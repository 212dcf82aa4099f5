"""Store the results of the run analysis."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("capacity_per_minute", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("capacity_low_per_minute", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("capacity_high_per_minute", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("stability", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("bottleneck", sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_column("bottleneck")
        batch_op.drop_column("stability")
        batch_op.drop_column("capacity_high_per_minute")
        batch_op.drop_column("capacity_low_per_minute")
        batch_op.drop_column("capacity_per_minute")
