from mxnetseg.cli.train import main

main()
