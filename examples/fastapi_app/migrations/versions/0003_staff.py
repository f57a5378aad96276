"""Create the tables of the operator's page, and let an account be staff."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "account", sa.Column("is_staff", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # 0: it is not known.
    op.add_column(
        "browser_session", sa.Column("seen_at", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_table(
        "pause",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("operator", sa.String(150), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pause"),
    )
    op.create_table(
        "login_count",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "name", name="pk_login_count"),
    )


def downgrade() -> None:
    op.drop_table("login_count")
    op.drop_table("pause")
    op.drop_column("browser_session", "seen_at")
    op.drop_column("account", "is_staff")
