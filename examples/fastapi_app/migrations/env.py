"""`alembic …` runs this: the tables of all modules, in the application's database."""

import staff  # noqa: F401 - its tables, and those of sessions.py
from accounts import Base
from alembic import context
from settings import read
from sqlalchemy import create_engine

engine = create_engine(read().database)
with engine.connect() as connection:
    # SQLite can only change a table by copying it into a new one: `batch`.
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
