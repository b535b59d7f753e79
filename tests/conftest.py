"""Being here puts tests/ on the import path, so that every test may say `from doubles.desk import Desk`."""
