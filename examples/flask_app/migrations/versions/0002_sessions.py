"""Create the table of sessions, and let an account be locked."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "account",
        sa.Column("is_locked", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "browser_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.Integer(), nullable=False),
        sa.Column("browser", sa.String(80), nullable=False),
        sa.Column("address", sa.String(80), nullable=False),
        sa.Column("login_id", sa.String(40), nullable=True),
        sa.Column("phone", sa.String(80), nullable=False),
        sa.Column("assurance", sa.String(64), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_browser_session"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_browser_session_account_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("login_id", name="uq_browser_session_login_id"),
        sqlite_autoincrement=True,  # the id of an ended session is never used again
    )
    op.create_index("ix_browser_session_account_id", "browser_session", ["account_id"])


def downgrade() -> None:
    op.drop_table("browser_session")
    op.drop_column("account", "is_locked")
