"""Run the migrations on the connection of `upgrade`, whose transaction is open; Alembic runs this.

The transaction holds every statement of every migration, so a migration that is interrupted leaves
the schema as it was, on SQLite too.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
