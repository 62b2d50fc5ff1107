"""What other repositories published, row by row, and the recipes that train each of those networks.

`rows` reads the tables of published facts, `translate` says them as a recipe, `files` writes configs/ from
them, `differences` compares a recipe with the published run, `results` writes RESULTS.md. Nothing here
imports MXNet but `costs.count`.
"""

from mxnetseg.recipes.rows import Row, all_rows, find_row

__all__ = ["Row", "all_rows", "find_row"]
