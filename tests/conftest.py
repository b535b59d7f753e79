"""Being here puts tests/ on the import path, so that every test may say `from doubles.desk import Desk`."""

from doubles import warm


def pytest_sessionfinish() -> None:
    warm.close()
