"""`python -m mxnetseg.compare`: runs side by side."""

from mxnetseg.cli.compare import main

if __name__ == "__main__":
    main()
