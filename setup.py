"""What pyproject.toml cannot say: recipes and the list of published weights stand beside the package in a
checkout and are installed inside it, where `mxnetseg.places` finds them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithRecipes(build_py):
    def run(self):
        super().run()
        if self.editable_mode:  # the checkout itself is used
            return
        package = Path(self.build_lib) / "mxnetseg"
        shutil.copytree(ROOT / "configs", package / "configs", dirs_exist_ok=True)
        shutil.copy(ROOT / "weights" / "index.yaml", package / "weights" / "index.yaml")


setup(cmdclass={"build_py": BuildWithRecipes})
