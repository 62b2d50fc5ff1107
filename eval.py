from mxnetseg.cli.eval import main

main()
