"""`python -m mxnetseg.speed`: milliseconds of a forward pass."""

from mxnetseg.cli.speed import main

if __name__ == "__main__":
    main()
