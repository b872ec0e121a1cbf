"""The datasets of the demo, with replacements, moves, deletions and two releases each."""

from collections.abc import Iterable

from app.access import Visibility
from app.demo import cards
from app.demo.samples import halved, iris_with_columns, photograph, scan, table, table_of, volume
from app.demo.story import Release, Step, Story

CARD = "README.md"
LABELS = "labels.csv"
SERIES = "dicomdirtests/98892003/MR700"
SLICES = ("4558", "4528", "4588", "4467", "4618", "4678", "4648")

# Path in the dataset: file that scikit-image ships.
FIRST_PICTURES = {
    "animals/chelsea.png": "chelsea.png",
    "animals/horse.png": "horse.png",
    "documents/page.png": "page.png",
    "documents/text.png": "text.png",
    "objects/clock.png": "clock_motion.png",
    "objects/coffee.png": "coffee.png",
    "objects/coins.png": "coins.png",
    "people/astronaut.png": "astronaut.png",
    "sky/moon.png": "moon.png",
    "sky/rocket.jpg": "rocket.jpg",
}
TEXTURES = {f"textures/{name}.png": f"{name}.png" for name in ("brick", "grass", "gravel")}
MICROSCOPY = {"microscopy/cell.png": "cell.png", "microscopy/tissue.png": "ihc.png"}


def stories() -> tuple[Story, ...]:
    """Return every dataset of the demo, files read.

    Raises:
        SamplesMissingError: a package of the extra ``demo`` is not installed.
    """
    return (_photographs(), _tables(), _scans(), _incoming())


def _photographs() -> Story:
    places = {f"places/{name}.jpg": table(f"images/{name}.jpg") for name in ("china", "flower")}
    chapters = (
        Step("Describe the dataset", "alice", {CARD: cards.PHOTOGRAPHS.encode()}),
        Step("Add ten photographs", "alice", {**_pictures(FIRST_PICTURES), LABELS: _labels(FIRST_PICTURES)}),
        Release("v0.1.0", "alice", "Ten photographs of five subjects, with labels."),
        Step("Add textures", "bob", _pictures(TEXTURES)),
        Step("Add microscopy", "bob", _pictures(MICROSCOPY)),
        Step(
            "Add places",
            "bob",
            {**places, "places/SOURCES.md": b"```\n" + table("images/README.txt") + b"\n```\n"},
        ),
        Step(
            "Halve the astronaut, which was larger than the others",
            "alice",
            {"people/astronaut.png": halved(photograph("astronaut.png"))},
        ),
        Step("Remove the documents: they are no photographs", "alice", deletes=("documents",)),
        Step("Call the folder space", "bob", moves={"sky": "space"}),
        Step("Label all pictures again", "alice", {LABELS: _labels(_final_pictures(places))}),
        Release(
            "v0.2.0",
            "alice",
            "Textures, microscopy and places are new; documents are gone; `sky` is called `space`.\n"
            "The astronaut has half the width and height that it had in v0.1.0.",
        ),
    )
    return Story(
        namespace="vision",
        path="photographs",
        name="Everyday photographs",
        description="Small photographs by subject, with labels; from scikit-image and scikit-learn.",
        visibility=Visibility.PUBLIC,
        topics=("photographs", "classification"),
        owner="alice",
        storage_site="local",
        chapters=chapters,
    )


def _tables() -> Story:
    iris = table("data/iris.csv")
    chapters = (
        Step(
            "Add iris, wine and an exercise table",
            "bob",
            {
                CARD: cards.TABLES.encode(),
                "iris.csv": iris,
                "wine.csv": table("data/wine_data.csv"),
                "exercise.csv": table("data/linnerud_exercise.csv"),
            },
        ),
        Release("v0.1.0", "bob", "Iris and wine, as scikit-learn ships them."),
        Step("Add breast cancer", "alice", {"breast_cancer.csv": table("data/breast_cancer.csv")}),
        Step("Give the columns of iris their names", "bob", {"iris.csv": iris_with_columns(iris)}),
        Step("Remove the exercise table: twenty rows are too few", "bob", deletes=("exercise.csv",)),
        Release("v0.2.0", "alice", "Breast cancer is new; the columns of iris have names."),
    )
    return Story(
        namespace="vision",
        path="tables",
        name="Classic tables",
        description="Iris, wine and breast cancer as CSV; from scikit-learn.",
        visibility=Visibility.PUBLIC,
        topics=("tabular", "classification"),
        owner="alice",
        storage_site="local",
        chapters=chapters,
    )


def _scans() -> Story:
    series = {
        f"dicom/brain-mra/slice-{number}.dcm": scan(f"{SERIES}/{name}")
        for number, name in enumerate(SLICES, start=1)
    }
    diffusion = {
        f"dicom/dti/volume-{number}.dcm": volume(f"nicom/tests/data/{number}.dcm") for number in (0, 1)
    }
    nifti = {f"nifti/{name}.nii": volume(f"tests/data/{name}.nii") for name in ("anatomical", "functional")}
    chapters = (
        Step("Describe the dataset", "alice", {CARD: cards.SCANS.encode()}),
        Step("Add an MR angiography series", "alice", series),
        Step(
            "Add single slices",
            "bob",
            {"dicom/single/ct.dcm": scan("CT_small.dcm"), "dicom/single/mr.dcm": scan("MR_truncated.dcm")},
        ),
        Step(
            "Add volumes",
            "alice",
            {**nifti, "nifti/resampled.nii": volume("tests/data/resampled_anat_moved.nii")},
        ),
        Release("v0.1.0", "alice", "One series, two single slices, three volumes."),
        Step("Replace the truncated MR slice", "bob", {"dicom/single/mr.dcm": scan("MR_small.dcm")}),
        Step("Add the beginning of a diffusion series", "alice", diffusion),
        Step("Remove the resampled volume: it can be computed", "alice", deletes=("nifti/resampled.nii",)),
        Step(
            "Add a volume in four dimensions",
            "bob",
            {"nifti/4d.nii.gz": volume("tests/data/example4d.nii.gz")},
        ),
        Release("v0.2.0", "alice", "The MR slice is whole; the diffusion series and a 4D volume are new."),
    )
    return Story(
        namespace="radiology",
        path="head-scans",
        name="Head scans",
        description="DICOM series and NIfTI volumes; from pydicom and nibabel.",
        visibility=Visibility.PRIVATE,
        topics=("dicom", "nifti"),
        owner="alice",
        storage_site="local",
        chapters=chapters,
    )


def _incoming() -> Story:
    return Story(
        namespace="vision",
        path="incoming",
        name="Incoming",
        description="No storage site is chosen yet: open its page as alice and choose one.",
        visibility=Visibility.INTERNAL,
        topics=(),
        owner="alice",
        storage_site=None,
        chapters=(Step("Describe the dataset", "alice", {CARD: cards.INCOMING.encode()}),),
    )


def _pictures(files: dict[str, str]) -> dict[str, bytes]:
    return {path: photograph(name) for path, name in files.items()}


def _labels(paths: Iterable[str]) -> bytes:
    rows = [(path, path.partition("/")[0]) for path in sorted(paths)]
    return table_of(("path", "label"), rows)


def _final_pictures(places: dict[str, bytes]) -> list[str]:
    paths = [*FIRST_PICTURES, *TEXTURES, *MICROSCOPY, *places]
    kept = [path for path in paths if not path.startswith("documents/")]
    return [path.replace("sky/", "space/") for path in kept]
