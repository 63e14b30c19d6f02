"""From the APP of a command line to the app: a built-in name, a file, or module:attribute."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shlex
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from headrace.app import App
from headrace.language.definition import JobDefinition
from headrace.language.location import short_name
from headrace.language.theirs import in_their_code
from headrace.values.errors import DefinitionError, HeadraceError, UsageError, did_you_mean

BUILT_IN = ("activity",)


def load_app(name: str) -> App:
    """The app that `name` means; the user's own directory comes first on the module path.

    Raises UsageError when there is none, DefinitionError when its file cannot be run.
    """
    target, _, attribute = name.partition(":")
    if target in BUILT_IN and not attribute:
        return _app_of(importlib.import_module(f"headrace.apps.{target}"), "app", name)
    if target.endswith(".py") or os.sep in target:
        return _app_of(_run_file(Path(target)), attribute, name)
    beside = Path(f"{target}.py")
    if "." not in target and beside.is_file():
        # Not by import: what Python calls so too (site, json) would come before it.
        return _app_of(_run_file(beside), attribute, name)
    if Path(target).is_file():
        raise _no_python(Path(target))
    if attribute or "." in target:
        return _app_of(_import(target), attribute, name)
    near = [*BUILT_IN, *(p.name for p in sorted(Path.cwd().glob("*.py")))]
    raise UsageError(f"there is no app called {name!r}", remedy=did_you_mean(name, near))


def is_module(name: str) -> bool:
    """Whether a module of Python or of Headrace is called `name`."""
    return name == "headrace" or name in sys.stdlib_module_names


class _AsItIsNow(SourceFileLoader):
    """Loads a file by its text: Python's cache takes two texts of one size and second for one."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _run_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise UsageError(f"{path} is a directory", remedy="Name the file in it that has the app.")
    if not path.is_file():
        near = did_you_mean(str(path), _python_files(path.parent))
        advice = near or "Write one to begin with: headrace new NAME"
        raise UsageError(f"there is no file {path}", remedy=advice)
    sys.path.insert(0, str(path.resolve().parent))
    # Python's own parts, and ours, must not be given the app for the module that they ask for.
    name = f"{path.stem}_app" if is_module(path.stem) else path.stem
    if path.suffix != ".py":
        raise _no_python(path)
    loader = _AsItIsNow(name, str(path.resolve()))
    spec = importlib.util.spec_from_file_location(name, path.resolve(), loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except HeadraceError:
        raise
    except Exception as error:
        raise _in_their_words(error, str(path)) from error
    return module


def _no_python(path: Path) -> UsageError:
    """What is told where a file of rows, the likeliest of others, stands in the app's place."""
    advice = did_you_mean(str(path), _python_files(path.parent)) or "Name the app's: my_app.py."
    ingest = f"headrace ingest my_app.py TOPIC {shlex.quote(str(path))}"
    return UsageError(f"{path} is no Python file", remedy=f"{advice}\nRows go in with: {ingest}")


def _python_files(directory: Path) -> list[str]:
    return [str(p) for p in sorted(directory.glob("*.py")) if p.is_file()]


def _import(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except HeadraceError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise UsageError(
                f"there is no module {error.name!r}",
                remedy="Give a file (my_app.py), or a module that can be imported from here.",
            ) from None
        raise _in_their_words(error, name) from error
    except Exception as error:
        raise _in_their_words(error, name) from error


def _in_their_words(error: Exception, name: str) -> DefinitionError:
    """What went wrong in the user's own code, with its place there and none of ours."""
    what = f"{name} cannot be loaded"
    if isinstance(error, SyntaxError) and error.filename is not None:
        return DefinitionError(
            f"{what}: {type(error).__name__}: {error.msg}",
            expression=(error.text or "").strip() or None,
            where=f"{short_name(error.filename)}:{error.lineno}",
        )
    found = in_their_code(error, what, remedy=_near(error))
    return found or DefinitionError(f"{what}: {type(error).__name__}: {error}")


def _near(error: Exception) -> str | None:
    """What ours has that is called nearly as what was asked of it."""
    if not isinstance(error, AttributeError) or error.name is None:
        return None
    asked = error.obj
    # Streams and views have said so themselves.
    if not (isinstance(asked, JobDefinition) or asked is sys.modules["headrace"]):
        return None
    return did_you_mean(error.name, [n for n in dir(asked) if not n.startswith("_")])


def _app_of(module: ModuleType, attribute: str, name: str) -> App:
    apps = {n: v for n, v in vars(module).items() if isinstance(v, App)}
    if attribute:
        if attribute in apps:
            return apps[attribute]
        found = getattr(module, attribute, None)
        what = "is not an app" if found is not None else "does not exist"
        raise UsageError(
            f"{attribute!r} of {module.__name__} {what}", remedy=did_you_mean(attribute, apps)
        )
    if "app" in apps:
        return apps["app"]
    if len(apps) == 1:
        return next(iter(apps.values()))
    if not apps:
        loaded = short_name(getattr(module, "__file__", None) or name)
        where = "" if loaded == str(Path(name)) else f" (it is {loaded})"
        raise UsageError(
            f"{name}{where} defines no app", remedy='Write: app = headrace.App("name").'
        )
    raise UsageError(
        f"{name} defines several apps", remedy=f"Choose one: {name}:{f' or {name}:'.join(apps)}."
    )
