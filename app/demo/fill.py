"""Fill an empty service with the demo, through the services that people use.

Every step is skipped where an earlier run did it, so an interrupted fill is finished by the next one. A fill
that came to its end is never repeated: what people did with the demo since then is theirs.
"""

from collections.abc import Mapping
from dataclasses import replace

from app.access import SYSTEM, Action, Actor, Scope, UserId
from app.demo.credentials import Credential, Credentials, find_credentials, make_credentials, save_credentials
from app.demo.stories import stories
from app.demo.story import GROUPS, PEOPLE, Group, Person, Release, Step, Story
from app.errors import MissingError
from app.services import Services
from app.versions.models import ActionKind, FileAction, is_file
from gitops.errors import PathNotFoundError
from gitops.model import RefName, RepoPath, parse_path
from gitops.snapshot import Snapshot

TOKEN_NAME = "demo"  # noqa: S105 - what the tokens are called
Actors = Mapping[str, Actor]


def fill(services: Services) -> Credentials | None:
    """Return the demo's credentials, or None where the service was in use before and is left alone.

    Raises:
        SamplesMissingError: a package of the extra ``demo`` is not installed; nothing was written.
    """
    home = services.config.home
    credentials = find_credentials(home)
    if credentials is not None and credentials.is_complete:
        return credentials
    if credentials is None and services.accounts.users(SYSTEM, after=UserId(0), limit=1):
        return None
    told = stories()
    if credentials is None:
        credentials = make_credentials(PEOPLE)
        # Kept before the accounts exist: a password that nobody knows would lock the demo.
        save_credentials(home, credentials)
    people = tuple(_enrol(services, person, credentials.of(person.username)) for person in PEOPLE)
    save_credentials(home, Credentials(people))
    actors = {person.username: services.accounts.actor_of_token(person.token) for person in people}
    for group in GROUPS:
        _found(services, group, actors)
    for story in told:
        _tell(services, story, actors)
    complete = Credentials(people, is_complete=True)
    save_credentials(home, complete)
    return complete


def _enrol(services: Services, person: Person, credential: Credential) -> Credential:
    """Make an account and a token, as far as they are missing."""
    known = services.accounts.users(SYSTEM, after=UserId(0), limit=len(PEOPLE) + 1)
    if person.username not in {user.username for user in known}:
        services.accounts.create_user(
            SYSTEM,
            person.username,
            password=credential.password,
            name=person.name,
            email=f"{person.username}@example.org",
            is_admin=person.is_admin,
        )
    if credential.token:
        return credential
    _, token = services.accounts.create_token(
        SYSTEM, name=TOKEN_NAME, scopes=frozenset(Scope), username=person.username
    )
    return replace(credential, token=token)


def _found(services: Services, group: Group, actors: Actors) -> None:
    """Make a group with its members, as far as they are missing."""
    owner = actors[group.owner]
    try:
        services.namespaces.open(owner, group.path, Action.SEE)
    except MissingError:
        services.namespaces.create(
            owner,
            path=group.path,
            name=group.name,
            visibility=group.visibility,
            description=group.description,
        )
    for username, level in group.members.items():
        services.namespaces.set_member(owner, group.path, username, level)


def _tell(services: Services, story: Story, actors: Actors) -> None:
    """Make a dataset with all its versions and releases, as far as they are missing."""
    owner = actors[story.owner]
    try:
        services.datasets.open(owner, story.full_path, Action.SEE)
    except MissingError:
        services.datasets.create(
            owner,
            name=story.name,
            namespace=story.namespace,
            path=story.path,
            description=story.description,
            visibility=story.visibility,
            topics=story.topics,
            storage_site=story.storage_site,
        )
    _, _, versions = services.history.log(owner, story.full_path)
    titles = {version.commit.title for version in versions}
    tags = {tag.name for tag in services.names.tags(owner, story.full_path)}
    for chapter in story.chapters:
        if isinstance(chapter, Release):
            if chapter.name not in tags:
                _release(services, story, chapter, actors[chapter.author])
        elif chapter.title not in titles:
            _commit(services, story, chapter, actors[chapter.author])


def _release(services: Services, story: Story, release: Release, author: Actor) -> None:
    opened = services.datasets.open(author, story.full_path, Action.WRITE)
    branch = opened.dataset.default_branch
    services.names.create_tag(author, story.full_path, RefName(release.name), branch, notes=release.notes)


def _commit(services: Services, story: Story, step: Step, author: Actor) -> None:
    opened = services.datasets.open(author, story.full_path, Action.WRITE)
    snapshot = opened.repo.at(opened.dataset.default_branch)
    actions = [
        FileAction(
            ActionKind.UPDATE if _exists(snapshot, parse_path(path)) else ActionKind.CREATE,
            parse_path(path),
            content=content,
        )
        for path, content in step.files.items()
    ]
    actions += [
        FileAction(ActionKind.MOVE, parse_path(new), previous=parse_path(old))
        for old, new in step.moves.items()
    ]
    actions += [FileAction(ActionKind.DELETE, parse_path(path)) for path in step.deletes]
    services.versions.commit_actions(author, story.full_path, actions, branch=None, message=step.title)


def _exists(snapshot: Snapshot, path: RepoPath) -> bool:
    try:
        return is_file(snapshot.entry(path))
    except PathNotFoundError:
        return False
