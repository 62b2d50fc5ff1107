"""`python -m mxnetseg.runs`: the runs there are."""

from mxnetseg.cli.runs import main

if __name__ == "__main__":
    main()
