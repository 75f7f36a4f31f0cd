"""The command `fantail` of the installed package: runs the program `fantail`."""
from __future__ import annotations

import os
import sys
from typing import NoReturn

from ._errors import ProgramsNotFound
from ._fleet import find_program


def main() -> NoReturn:
    try:
        program = find_program()
    except ProgramsNotFound as error:
        sys.exit(f"fantail: {error}")
    os.execv(program, ["fantail", *sys.argv[1:]])
