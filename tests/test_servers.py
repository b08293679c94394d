"""The PostgreSQL servers of the tests."""

from pathlib import Path

import asyncpg
import pytest
from servers import Servers, run


@pytest.mark.joined
def test_postgresql_works_after_another_test_run_has_made_pytests_folders_private(
    own_servers: Servers, tmp_path: Path
) -> None:
    async def checkpoint() -> None:
        connection = await asyncpg.connect(own_servers.postgres_url())
        await connection.execute("CHECKPOINT")
        await connection.close()

    own_servers.postgres_url()
    for folder in tmp_path.parents:
        if folder.name.startswith("pytest-"):
            folder.chmod(0o700)
    run(checkpoint())
