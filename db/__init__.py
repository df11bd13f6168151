"""Migrations in SQL, and one module per noun with the queries for it."""
