"""Adds to pyproject.toml: if fantail/_bin has the programs of fantail, the wheel contains them. A wheel with programs is for
one platform, but for every version of Python, because it has no extension module. scripts/wheel makes this kind of wheel."""
import os

from setuptools import Distribution, setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70.1
    from wheel.bdist_wheel import bdist_wheel

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fantail", "_bin")


class WithPrograms(Distribution):
    def has_ext_modules(self):
        """If true, the wheel is for one platform."""
        return os.path.isdir(PROGRAMS)


class Wheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(distclass=WithPrograms, cmdclass={"bdist_wheel": Wheel})
