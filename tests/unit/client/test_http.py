import pytest

from cairn.errors import CairnError, ConflictError, NotAllowedError, NotFoundError, UnavailableError, error_of
from cairn.http import Http, Request
from cairn.settings import Credential


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (401, NotAllowedError, 4),
        (403, NotAllowedError, 4),
        (404, NotFoundError, 5),
        (410, NotFoundError, 5),
        (409, ConflictError, 1),
        (503, UnavailableError, 1),
    ],
)
def test_a_problem_becomes_the_exception_of_its_status(status, kind, exit_code):
    error = error_of(status, {"detail": "why", "error_code": "code", "paths": ["a"]})
    assert type(error) is kind
    assert (str(error), error.code, error.paths, error.exit_code) == ("why", "code", ("a",), exit_code)


def test_the_faults_of_a_form_are_told_once_each():
    faults = [{"pointer": "/name", "detail": "is required"}, {"pointer": "/x", "detail": "is unknown"}]

    error = error_of(422, {"detail": "name: is required", "errors": faults})

    assert str(error) == "name: is required; /x: is unknown"


@pytest.mark.parametrize("status", ["429", "502", "503", "504"])
def test_a_passing_failure_is_tried_again(http, service, status):
    service.files["a"] = b"x"
    service.faults = [("/tree", status), ("/tree", status)]
    assert http.json("GET", "/datasets/vision%2Fcells/tree")[0]["path"] == "a"
    assert len(service.log) == 3


def test_a_refusal_is_not_tried_again(http, service):
    service.faults = [("/tree", "403")]
    with pytest.raises(NotAllowedError, match="told to fail"):
        http.json("GET", "/datasets/vision%2Fcells/tree")
    assert len(service.log) == 1


def test_retries_end(http, service):
    service.faults = [("/tree", "503")] * 20
    with pytest.raises(UnavailableError):
        http.json("GET", "/datasets/vision%2Fcells/tree")
    assert len(service.log) == 6


def test_a_repeated_post_carries_the_same_idempotency_key(http, service):
    service.faults = [("/uploads", "503")]
    http.json("POST", "/datasets/vision%2Fcells/uploads", body={})
    first, second = (headers["Idempotency-Key"] for _, _, headers in service.log)
    assert first == second


def test_waits_as_long_as_the_service_asks(service):
    waits: list[float] = []
    http = Http(service.url, sleep=waits.append)
    http.pause(1, "7")
    http.pause(3)
    assert waits[0] == 7
    assert 1 <= waits[1] <= 2


def test_an_endpoint_that_never_answered_is_given_up_soon():
    waits: list[float] = []
    with pytest.raises(UnavailableError, match="No answer"):
        Http("http://127.0.0.1:9", sleep=waits.append).json("GET", "/user")
    assert len(waits) == 1


def test_a_redirect_to_another_host_loses_the_credential(http, service, other_host):
    service.files["a"] = other_host.files["a"] = b"bytes"
    service.faults = [("/files/a", f"redirect:{other_host.url}/api/v1/datasets/vision%2Fcells/files/a")]
    with http.body("/datasets/vision%2Fcells/files/a") as body:
        assert body.read() == b"bytes"
    assert service.log[0][2]["PRIVATE-TOKEN"] == "secret"
    assert "PRIVATE-TOKEN" not in other_host.log[0][2]


def test_a_redirect_within_the_host_keeps_the_credential(http, service):
    service.files["a"] = b"bytes"
    service.faults = [("/files/b", "redirect:/api/v1/datasets/vision%2Fcells/files/a")]
    with http.body("/datasets/vision%2Fcells/files/b") as body:
        assert body.read() == b"bytes"
    assert service.log[1][2]["PRIVATE-TOKEN"] == "secret"


def test_a_redirected_write_is_an_error(http, service):
    service.faults = [("/uploads", "redirect:/elsewhere")]
    with pytest.raises(CairnError, match="redirects"):
        http.json("POST", "/datasets/vision%2Fcells/uploads", body={})


def test_a_circle_of_redirects_ends(http, service):
    service.faults = [("/files/b", "redirect:/api/v1/datasets/vision%2Fcells/files/b")] * 100
    with pytest.raises(UnavailableError, match="circle"):
        http.send(Request("GET", http.url("/datasets/vision%2Fcells/files/b")))


def test_a_broken_answer_goes_on_where_it_broke(http, service):
    service.files["a"] = bytes(range(256)) * 5000
    service.faults = [("/files/a", "cut"), ("/files/a", "cut")]
    with http.body("/datasets/vision%2Fcells/files/a") as body:
        assert b"".join(body.chunks()) == service.files["a"]
    assert [headers.get("Range") for _, _, headers in service.log] == [
        None,
        "bytes=640000-",
        "bytes=960000-",
    ]
    assert service.log[1][2]["If-Range"]


def test_an_answer_that_changes_meanwhile_is_refused(http, service):
    service.files["a"] = b"x" * 100
    service.faults = [("/files/a", "cut")]
    with http.body("/datasets/vision%2Fcells/files/a") as body:
        service.files["a"] = b"y" * 100
        with pytest.raises(UnavailableError, match="changed"):
            body.read()


def test_the_token_is_not_in_the_representation():
    assert "secret" not in repr(Credential("PRIVATE-TOKEN", "secret"))
