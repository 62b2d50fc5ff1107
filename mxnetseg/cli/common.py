"""Arguments that several commands have. Importing this ends a command that lacks packages in one line."""

from __future__ import annotations

import argparse
from typing import Sequence

from mxnetseg.cli.parsing import EXIT_USER_ERROR, Parser, run
from mxnetseg.packages import require_packages

__all__ = [
    "EXIT_USER_ERROR",
    "Parser",
    "add_compute_arguments",
    "add_context_argument",
    "add_engine_argument",
    "add_set_argument",
    "run",
]

# Before the command imports anything that needs them.
require_packages()


def add_context_argument(parser: argparse._ActionsContainer) -> None:
    """`--ctx`, read by `mxnetseg.compute.devices.contexts`."""
    parser.add_argument(
        "--ctx",
        nargs="+",
        metavar="DEV",
        help="GPU numbers (0 1 2 3), or cpu; `cpu cpu` computes on two CPU contexts, which synchronized norm "
        "trains as one; the torch engine trains by a process for each. Default: every GPU there is, else the "
        "CPU",
    )


def add_engine_argument(parser: argparse._ActionsContainer, engines: Sequence[str]) -> None:
    """`--engine`, read by `mxnetseg.compute.choice.choose_engine`."""
    parser.add_argument(
        "--engine",
        choices=["auto", *engines],
        default="auto",
        help="what computes; auto (default): mxnet, or torch on GPUs that MXNet cannot use",
    )


def add_compute_arguments(parser: argparse._ActionsContainer) -> None:
    """`--amp` and `--compile`, of the recipe's `compute` group."""
    parser.add_argument(
        "--amp",
        choices=["none", "bf16", "fp16"],
        help="automatic mixed precision of the torch engine; default: the recipe's",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        default=None,
        help="compile the network first, which takes minutes (torch engine)",
    )


def add_set_argument(parser: argparse._ActionsContainer) -> None:
    """`--set key=value`, for any field of the recipe."""
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="any field of the recipe, for example --set optimizer.lr=0.02 augment.crop='[256, 512]'",
    )
