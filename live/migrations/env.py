"""What Alembic runs to get at the database: `live.migrations` hands over a connection, whose transaction is not ended here."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
