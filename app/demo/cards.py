"""The dataset cards (``README.md``) of the demo. Front matter as on the Hugging Face Hub."""

PHOTOGRAPHS = """\
---
license: cc0-1.0
pretty_name: Everyday photographs
tags:
- photographs
- classification
task_categories:
- image-classification
---
# Everyday photographs

Small photographs by subject, one folder a subject, with one row a picture in `labels.csv`.

All pictures but those in `places` come with the package scikit-image, whose documentation names the author
of each; they are in the public domain or under CC0, except `objects/coffee.png` (courtesy of Pikolo Espresso
Bar). The two pictures in `places` come with scikit-learn and are under CC BY 2.0; `places/SOURCES.md` names
their authors.
"""

TABLES = """\
---
license: bsd-3-clause
pretty_name: Classic tables
tags:
- tabular
- classification
---
# Classic tables

Three small tables for trying out classifiers, as the package scikit-learn ships them.

| table | rows | what is predicted |
|---|---|---|
| `iris.csv` | 150 | the species of an iris, from four lengths |
| `wine.csv` | 178 | the cultivar of a wine, from a chemical analysis |
| `breast_cancer.csv` | 569 | whether a tumour is malignant |
"""

SCANS = """\
---
license: mit
pretty_name: Head scans
tags:
- dicom
- nifti
- mri
---
# Head scans

Two DICOM series, single slices and three NIfTI volumes for trying out readers. The files are test data of the
packages pydicom and nibabel: anonymous, and in part reduced to a few pixels.

| folder | what it holds |
|---|---|
| `dicom/brain-mra` | one series of seven slices, MR angiography, 16 × 16 pixels |
| `dicom/dti` | the first two volumes of a diffusion series, 256 × 256 pixels |
| `dicom/single` | one CT and one MR slice |
| `nifti` | an anatomical and a functional volume |
"""

INCOMING = """\
---
pretty_name: Incoming
---
# Incoming

This dataset has no storage site yet. Its page lets a maintainer choose one; the choice is made once.
"""
