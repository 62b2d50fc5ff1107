"""`python -m mxnetseg.data`: prepare data sets, check them, look at them, pack them."""

from mxnetseg.cli.data import main

if __name__ == "__main__":
    main()
