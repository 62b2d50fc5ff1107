"""`python -m mxnetseg.export`: a checkpoint as an ONNX file."""

from mxnetseg.cli.export import main

if __name__ == "__main__":
    main()
