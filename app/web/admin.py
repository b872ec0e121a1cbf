"""HTML routes for those who look after the service: background jobs."""

from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for

from app.errors import AppError
from app.jobs import Job, JobId, JobState
from app.web.context import services
from app.web.cursors import number_of
from app.web.guards import Role, require
from app.web.rendering import FormFault, page, see_other

pages = Blueprint("admin", __name__)

_ROWS = 50


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Jobs, newest first."""

    jobs: tuple[Job, ...]
    state: str
    next_before: int | None
    fault: FormFault | None = None
    states: tuple[str, ...] = tuple(JobState)


@pages.get("/admin/jobs")
def jobs() -> Response:
    """Show what is waiting, running, done and failed."""
    require(Role.ADMIN, is_change=False)
    return _page()


@pages.post("/admin/jobs/<int:job>/retry")
def retry(job: int) -> Response:
    """Let a failed job run again."""
    require(Role.ADMIN, is_change=True)
    try:
        services().jobs.retry(JobId(job))
    except AppError as error:
        return _page(FormFault.of(error))
    return see_other(url_for("admin.jobs"), f"Job {job} will run again.")


def _page(fault: FormFault | None = None) -> Response:
    state = request.args.get("state", "")
    wanted = JobState(state) if state in set(JobState) else None
    before = number_of(request.args.get("before"))
    found = services().jobs.latest(state=wanted, before=JobId(before) if before else None, limit=_ROWS + 1)
    shown = tuple(found[:_ROWS])
    model = JobsPage(shown, wanted or "", shown[-1].id if len(found) > _ROWS else None, fault)
    return page("admin/jobs.html", model, status=fault.status if fault else 200)
