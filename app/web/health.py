"""Is the process alive, is it ready, and what became of a job."""

from flask import Response
from pydantic import Field

from app.errors import MissingError
from app.jobs import JobId
from app.web.api import ApiBlueprint, json_answer
from app.web.context import actor, services
from app.web.schemas import AnswerModel, PathModel
from gitops.errors import GitopsError

health = ApiBlueprint("health", tag="Service", prefix="")
routes = ApiBlueprint("jobs", tag="Service")


class Health(AnswerModel):
    """A sign of life."""

    status: str


class Readiness(AnswerModel):
    """What the service needs, each with ``ok`` or what is wrong."""

    status: str
    checks: dict[str, str]


class JobPath(PathModel):
    """A job."""

    job: int


class JobAnswer(AnswerModel):
    """Something that takes long: where it stands."""

    id: int
    kind: str
    state: str = Field(description="`pending`, `running`, `done` or `failed`.")
    attempts: int
    error: str | None
    result: dict[str, object] | None
    created_at: str
    finished_at: str | None


@health.get("/healthz", role="anonymous", summary="The process lives", answers=Health)
def healthz() -> Response:
    """Answer at once, whatever else is broken."""
    return json_answer({"status": "ok"}, headers={"Cache-Control": "no-store"})


@health.get(
    "/readyz", role="anonymous", summary="The service can work", answers={200: Readiness, 503: Readiness}
)
def readyz() -> Response:
    """Tell a load balancer the truth: 503 while the database does not answer."""
    checks = {name: _checked(name) for name in services().probes}
    is_ready = all(outcome == "ok" for outcome in checks.values())
    content = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return json_answer(content, 200 if is_ready else 503, {"Cache-Control": "no-store"})


@routes.get("/jobs/<int:job>", role="user", summary="Where a long-running job stands", answers=JobAnswer)
def show_job(path: JobPath) -> Response:
    """Show a job to whoever started it and to administrators."""
    found = services().jobs.find(JobId(path.job))
    caller = actor()
    if found is None or not (caller.is_admin or found.created_by == caller.user):
        raise MissingError("there is no such job")
    return json_answer(
        {
            "id": found.id,
            "kind": found.kind,
            "state": found.state.value,
            "attempts": found.attempts,
            "error": found.error,
            "result": found.result,
            "created_at": found.created_at,
            "finished_at": found.finished_at,
        }
    )


def _checked(name: str) -> str:
    try:
        services().probes[name]()
    except GitopsError as error:
        return str(error)
    return "ok"
