"""The notes of small groups: what editors have said about a shared text, in batches. Never to be edited once it is released."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """See the module."""
    op.create_table(
        "notes",
        sa.Column("event", sa.Integer, primary_key=True),
        sa.Column("room", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
