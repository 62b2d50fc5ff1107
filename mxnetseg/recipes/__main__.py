"""`python -m mxnetseg.recipes`: published rows and the recipes that train them."""

from mxnetseg.cli.recipes import main

if __name__ == "__main__":
    main()
