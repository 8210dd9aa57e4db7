"""Makes those of the project's documents that follow from the code, so that they cannot say anything else than it.

`python -m deploy.docs` (`make docs`) writes them; the tests in `tests/contract/` fail when one is not current.
"""
