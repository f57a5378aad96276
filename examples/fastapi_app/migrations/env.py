"""`alembic …` runs this: the tables in accounts.py, in the application's database."""

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
