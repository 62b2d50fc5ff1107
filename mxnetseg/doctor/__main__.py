"""`python -m mxnetseg.doctor`: the report of this machine."""

from mxnetseg.cli.doctor import main

if __name__ == "__main__":
    main()
