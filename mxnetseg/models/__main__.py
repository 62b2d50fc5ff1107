"""`python -m mxnetseg.models`: the table of the zoo."""

from mxnetseg.cli.models import main

if __name__ == "__main__":
    main()
