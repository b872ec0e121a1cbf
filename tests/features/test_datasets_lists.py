"""Lists of datasets: search, filters, pages, facets, and nothing that the caller may not know."""

import pytest

from app.access import AccessLevel, Actor, Visibility
from app.datasets.models import DatasetFilter
from tests.steps import make_dataset

ALL = DatasetFilter()
SORTS = ["name", "created_at", "updated_at"]


def _names(services, actor, wanted=ALL, **options):
    return [found.name for found in services.catalog.page(actor, wanted, **options)]


def _value(found, sort):
    return getattr(found, sort)


def _paged(services, actor, *, sort="name", is_descending=False, limit=2, between=lambda: None):
    """Walk all pages as a client does, with something happening after the first."""
    rows, after = [], None
    while page := services.catalog.page(
        actor, ALL, sort=sort, is_descending=is_descending, after=after, limit=limit
    ):
        rows += page
        after = (_value(page[-1], sort), page[-1].id)
        between()
        between = lambda: None  # noqa: E731
    return [found.name for found in rows]


@pytest.mark.parametrize("word", ["100%", "under_score", "back\\slash", "%", "_", "\\", "Äpfel"])
def test_search_takes_wildcards_for_what_they_are(services, alice, word):
    for number, name in enumerate(["100%", "under_score", "back\\slash", "plain", "Äpfel"]):
        make_dataset(services, alice[0], name, path=f"d{number}", storage_site=None)
    found = _names(services, alice[0], DatasetFilter(search=word))
    assert found == [
        name for name in sorted(["100%", "under_score", "back\\slash", "plain", "Äpfel"]) if word in name
    ]


@pytest.mark.parametrize("search", ["CELLS", "alice", "two KINDS", "micro", "cells kinds"])
def test_search_looks_at_name_path_description_and_topics_in_any_case(services, alice, search):
    make_dataset(services, alice[0], "Cells", description="Of two kinds", topics=["Microscopy"])
    make_dataset(services, alice[0], "x", path="other", namespace=_group(services, alice))
    assert _names(services, alice[0], DatasetFilter(search=search)) == ["Cells"]


def _group(services, owner, path="vision", visibility=Visibility.PUBLIC):
    return services.namespaces.create(owner[0], path=path, name=path, visibility=visibility).namespace.id


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_together_are_the_whole_list_in_order(services, clock, alice, sort, is_descending):
    names = ["b", "A", "Äb", "äa", "Zoo", "ß", "a"]
    for number, name in enumerate(names):
        make_dataset(services, alice[0], name, path=f"d{number}", storage_site=None)
        clock.advance(seconds=number % 2)
    whole = _names(services, alice[0], sort=sort, is_descending=is_descending)
    assert sorted(whole) == sorted(names)
    assert _paged(services, alice[0], sort=sort, is_descending=is_descending) == whole


@pytest.mark.parametrize("sort", SORTS)
def test_pages_lose_nothing_while_datasets_are_added(services, alice, sort):
    for number in range(6):
        make_dataset(services, alice[0], f"n{number}", storage_site=None)

    def add():
        make_dataset(services, alice[0], "a first", storage_site=None)
        make_dataset(services, alice[0], "n0", path="twin", storage_site=None)

    seen = _paged(services, alice[0], sort=sort, between=add)
    assert [name for name in seen if name in {f"n{number}" for number in range(6)}][:6]
    assert {f"n{number}" for number in range(6)} <= set(seen)
    assert len([name for name in seen if name == "n3"]) == 1


def test_a_page_is_full_although_a_closed_namespace_hides_rows(services, alice, bob):
    """S5: rows that must not be seen are left out before a page is cut, so that no page is short."""
    _group(services, alice, "shut")
    for number in range(4):
        make_dataset(
            services,
            alice[0],
            f"a{number}",
            namespace="shut",
            visibility=Visibility.PUBLIC,
            storage_site=None,
        )
        make_dataset(services, alice[0], f"b{number}", visibility=Visibility.PUBLIC, storage_site=None)
    with services.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE namespaces SET visibility = 'private' WHERE path = 'shut'")
    assert _names(services, bob[0], limit=3) == ["b0", "b1", "b2"]
    assert _names(services, Actor(), limit=3) == ["b0", "b1", "b2"]
    assert _names(services, alice[0], limit=3) == ["a0", "a1", "a2"]
    assert services.catalog.facets(bob[0], ALL)["namespace"] == {"alice": 4}


def test_everybody_sees_what_he_may(services, alice, bob, admin):
    for visibility in Visibility:
        make_dataset(services, alice[0], visibility.value, visibility=visibility, storage_site=None)
    assert _names(services, Actor()) == ["public"]
    assert _names(services, bob[0]) == ["internal", "public"]
    assert _names(services, admin[0]) == ["internal", "private", "public"]
    services.memberships.set_member(alice[0], "alice/private", "bob", AccessLevel.GUEST)
    assert _names(services, bob[0]) == ["internal", "private", "public"]


def test_a_member_of_a_namespace_sees_its_private_datasets(services, alice, bob):
    _group(services, alice, "shut", Visibility.PRIVATE)
    make_dataset(services, alice[0], "secret", namespace="shut", storage_site=None)
    assert _names(services, bob[0]) == []
    services.namespaces.set_member(alice[0], "shut", "bob", AccessLevel.GUEST)
    assert _names(services, bob[0]) == ["secret"]


def test_facets_count_only_what_is_visible(services, alice, bob):
    make_dataset(services, alice[0], "one", visibility=Visibility.PUBLIC, topics=["cells"], storage_site=None)
    make_dataset(services, alice[0], "two", topics=["cells", "secret"], storage_site=None)
    assert services.catalog.facets(bob[0], ALL) == {
        "visibility": {"public": 1},
        "namespace": {"alice": 1},
        "topic": {"cells": 1},
    }
    assert services.catalog.facets(alice[0], ALL)["topic"] == {"cells": 2, "secret": 1}
    assert services.catalog.facets(alice[0], DatasetFilter(topic="secret"))["visibility"] == {"private": 1}


def test_filters_combine(services, alice):
    make_dataset(services, alice[0], "one", topics=["cells"])
    make_dataset(services, alice[0], "two", topics=["cells"], storage_site=None)
    make_dataset(services, alice[0], "three", visibility=Visibility.PUBLIC, topics=["cells"])
    site = services.sites.resolve(alice[0], "local").id
    assert _names(services, alice[0], DatasetFilter(topic="cells", site_id=site)) == ["one", "three"]
    wanted = DatasetFilter(topic="cells", site_id=site, visibility=Visibility.PUBLIC)
    assert _names(services, alice[0], wanted) == ["three"]
