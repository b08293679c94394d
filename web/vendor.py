"""Copy the built files and licences of Swagger UI and ReDoc into the package, for `make dist`.

The files come from the wheels in `requirements/pages.txt`. docs/decisions/0001-page-assets.md explains why.
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path

VENDOR = Path(__file__).parent.parent / "src" / "tertulia" / "web" / "vendor"
SOURCES = {"openapi": ("fastapi_offline", "fastapi_offline/static")}
"""The folder in the package, the distribution, and the folder in that distribution."""
LICENCES = ("LICENSE", "LICENCE", "COPYING", "AUTHORS")


def vendor() -> None:
    """Copy all files, and replace those of an earlier run."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    for folder, (name, source) in SOURCES.items():
        target = VENDOR / folder
        target.mkdir(parents=True)
        for file in distribution(name).files or ():
            is_licence = file.name.split(".")[0] in LICENCES
            if is_licence or file.parent.as_posix() == source:
                shutil.copyfile(str(file.locate()), target / file.name)


if __name__ == "__main__":
    vendor()
