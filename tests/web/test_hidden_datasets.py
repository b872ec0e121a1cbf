"""S6: what the caller may not know is like what is not there, also in the work that it makes."""

import pytest
from sqlalchemy import event

from tests.conftest import auth
from tests.steps import make_dataset


@pytest.fixture
def statements(services):
    """Return the list that every statement on the database is added to."""
    seen: list[str] = []
    event.listen(
        services.database.engine, "before_cursor_execute", lambda _c, _u, text, *_rest: seen.append(text)
    )
    return seen


@pytest.mark.parametrize(("hidden", "absent"), [("1", "987"), ("alice%2Fcells", "alice%2Fnothing")])
def test_a_hidden_dataset_asks_the_database_as_much_as_none(
    client, services, alice, bob, statements, hidden, absent
):
    make_dataset(services, alice[0], "Cells")
    client.get("/api/v1/user", headers=auth(bob[1]))  # notes when the token was used
    asked = []

    for dataset in (hidden, absent):
        statements.clear()
        assert client.get(f"/api/v1/datasets/{dataset}/tree", headers=auth(bob[1])).status_code == 404
        asked.append(len(statements))

    assert asked[0] == asked[1]
