"""Downloads: files, manifests and archives of a dataset at one commit."""
