"""`python -m mxnetseg.doctor`: what this machine has, what is missing, why, and what to do."""

from mxnetseg.cli.doctor import main

if __name__ == "__main__":
    main()
