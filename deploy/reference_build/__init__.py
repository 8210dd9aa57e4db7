"""Makes the packaged tables of `shared/reference/data` from a folder of source files (see its ORIGIN.md).

`python -m deploy.reference_build SOURCE [--out FOLDER] [--open-licence-only]`. The same source gives the same tables.
"""
