"""PostgreSQL as tables: rows and the mark of a delivery land in one transaction."""
