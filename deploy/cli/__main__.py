"""`python -m deploy.cli`: the command line where the script `foquale` is not on PATH."""

from deploy.cli.app import main

main()
