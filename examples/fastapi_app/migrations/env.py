"""Called by `alembic …`: the tables are those of people.py, the database that of the application."""

from alembic import context
from people import Base
from settings import read
from sqlalchemy import create_engine

engine = create_engine(read().database)
with engine.connect() as connection:
    # SQLite changes a table by making another: `batch`.
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
