"""`python -m mxnetseg.weights`: list, fetch and import published weights."""

from mxnetseg.cli.weights import main

if __name__ == "__main__":
    main()
