import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the program even while it is being imported

from mxnetseg.cli.train import main  # noqa: E402

main()
