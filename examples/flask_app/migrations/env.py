"""`flask db …` runs this: the tables of all modules, in the application's database."""

import passkey_models  # noqa: F401 - its tables are there without QRLOGIN_PASSKEYS, too
from alembic import context
from flask import current_app

db = current_app.extensions["migrate"].db
with db.engine.connect() as connection:
    # SQLite can only change a table by copying it into a new one: `batch`.
    context.configure(connection=connection, target_metadata=db.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
