import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the program even while it is being imported

from mxnetseg.cli.eval import main  # noqa: E402

main()
