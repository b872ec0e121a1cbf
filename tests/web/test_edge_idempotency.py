"""``Idempotency-Key``: a repeated POST happens once."""

import threading

import pytest
from sqlalchemy import select

from app.access import SYSTEM, AccessLevel, Scope
from app.db import replies
from tests.conftest import auth
from tests.steps import make_dataset


def _create(client, token, key, path="vision"):
    return client.post(
        "/api/v1/namespaces", json={"path": path}, headers={**auth(token), "Idempotency-Key": key}
    )


def test_the_second_request_is_answered_like_the_first_and_happens_once(client, alice):
    first = _create(client, alice[1], "k1")
    second = _create(client, alice[1], "k1")

    assert first.status_code == second.status_code == 201
    assert first.json == second.json
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]


def test_a_refusal_is_repeated_too(client, alice):
    _create(client, alice[1], "k0")

    assert [_create(client, alice[1], "k1").status_code for _ in range(2)] == [409, 409]


def test_another_request_under_the_same_key_is_refused(client, alice):
    _create(client, alice[1], "k1")

    answer = _create(client, alice[1], "k1", "other")

    assert (answer.status_code, answer.json["error_code"]) == (422, "idempotency_key_reused")


def test_keys_belong_to_their_users(client, alice, bob):
    _create(client, alice[1], "k1")

    assert _create(client, bob[1], "k1", "vision").status_code == 409


def test_a_key_is_forgotten_after_a_day(client, alice, clock):
    _create(client, alice[1], "k1")
    clock.advance(hours=25)

    assert _create(client, alice[1], "k1").status_code == 409


def test_a_request_in_flight_is_not_started_twice(client, alice, services):
    ask = replies.Ask(alice[0].user, "k1", "POST", "/api/v1/namespaces?")
    answer = _create(client, alice[1], "k0", "warm")
    assert answer.status_code == 201
    with services.database.transaction() as connection:
        replies.begin(connection, ask, fingerprint=_fingerprint_of_vision(), now=services.clock())

    answer = _create(client, alice[1], "k1")

    assert (answer.status_code, answer.json["error_code"]) == (409, "idempotency_key_in_use")


def test_a_request_whose_process_died_may_be_made_again(client, alice, services, clock):
    ask = replies.Ask(alice[0].user, "k1", "POST", "/api/v1/namespaces?")
    with services.database.transaction() as connection:
        replies.begin(connection, ask, fingerprint="x", now=services.clock())
    clock.advance(hours=1)

    assert _create(client, alice[1], "k1").status_code == 201


def test_racing_twins_make_one_thing(app, alice):
    answers = []
    barrier = threading.Barrier(6)

    def run():
        barrier.wait()
        answers.append(_create(app.test_client(), alice[1], "race").status_code)

    threads = [threading.Thread(target=run) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert set(answers) <= {201, 409}
    assert 201 in answers


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_malformed_key_is_refused(client, alice, key):
    assert _create(client, alice[1], key).status_code == 400


def _fingerprint_of_vision() -> str:
    import hashlib

    body = b'{"path": "vision"}'
    return hashlib.sha256(f"application/json\n{len(body)}\n".encode() + body).hexdigest()


def _make_token(client, token):
    sent = {"name": "ci", "scopes": ["api"]}
    return client.post("/api/v1/user/tokens", json=sent, headers={**auth(token), "Idempotency-Key": "k1"})


def test_a_kept_answer_is_encrypted_because_it_may_hold_a_new_token(client, alice, services):
    made = _make_token(client, alice[1])

    with services.database.reading() as connection:
        kept = connection.execute(select(replies.replies.c.body)).scalar_one()
    assert made.json["token"].encode() not in kept
    assert _make_token(client, alice[1]).json == made.json


def test_a_token_that_only_reads_is_never_told_what_a_stronger_one_was_answered(client, alice, services):
    _make_token(client, alice[1])
    _, weak = services.accounts.create_token(
        SYSTEM, name="weak", scopes=frozenset({Scope.READ_API}), username="alice"
    )

    answer = _make_token(client, weak)

    assert (answer.status_code, answer.json["error_code"]) == (403, "insufficient_scope")


def test_a_removed_member_is_told_no_more_what_he_was_answered(client, alice, bob, services):
    dataset = make_dataset(services, alice[0])
    services.memberships.set_member(alice[0], dataset.id, "bob", AccessLevel.DEVELOPER)
    headers = {**auth(bob[1]), "Idempotency-Key": "k1"}
    address = f"/api/v1/datasets/{dataset.id}/branches"
    assert client.post(address, json={"name": "x", "ref": "main"}, headers=headers).status_code == 201
    services.memberships.remove_member(alice[0], dataset.id, "bob")

    answer = client.post(address, json={"name": "x", "ref": "main"}, headers=headers)

    assert (answer.status_code, answer.json["error_code"]) == (404, "dataset_not_found")
