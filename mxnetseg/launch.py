"""`python -m mxnetseg.launch`: workers and servers of MXNet's key-value store."""

from mxnetseg.cli.launch import main

if __name__ == "__main__":
    main()
