"""A project's own modules: loaded from the bytes that were read of it, and forgotten as soon as that is done.

The law: what runs is what was read; no bytecode of it is used or written; afterwards nothing of the project is left in
`sys.modules`, so that an edited file is an edited tool and a replaced one can be collected. Libraries in an environment
inside the project are not its own: those are loaded once per process, as anywhere. Imports nothing itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

_INSTALLED = frozenset({".venv", "site-packages", "dist-packages"})
_RUNNING = frozenset(  # the Python that runs this, and this package: no project's, though they may lie in its folder
    real(folder)
    for folder in (os.path.dirname(os.__file__), sys.prefix, sys.base_prefix, os.path.dirname(__file__))  # noqa: PTH120
    for real in (os.path.abspath, os.path.realpath)
)
_QUOTED = re.compile(rb"""['"]([A-Za-z_][A-Za-z0-9_.]*)['"]""")
_NEVER = frozenset({"openclaw", "__main__"})
_locks: dict[str, Any] = vars(sys.modules["_frozen_importlib"]).get("_module_locks", {})  # by module, while imported
_compiled: dict[str, str] = {}  # the digests of compiled modules as they were loaded: they stay until the process ends

Read = Callable[[str], bytes | None]
"""A file of the project by its path there, with `/`; None where it is not known."""
Seen = Callable[[str, bool], None]
"""A module of the project, or of one of its packages, that was looked for; and whether what was found is Python's text
at the place that its name says, found in the usual way."""


def replaced(root: Path) -> list[str]:
    """Compiled modules of the project that are other files now than those this process loaded: of such ones the system
    gives the first to whoever loads another from the same place."""
    within = str(root.absolute()) + os.sep
    ours = [(path, digest) for path, digest in list(_compiled.items()) if path.startswith(within)]
    return sorted(path[len(within) :] for path, digest in ours if _digest(path) not in ("", digest))


def _mended(list_: list[Any], before: list[Any], now: Any, ours: Any) -> list[Any]:
    """The process's list as a project's code leaves it, with all that was in it before and once what was added to it,
    for that is added each time; without what we put there ourselves."""
    left = [*now] if isinstance(now, list) else []
    if ours in left:
        left.remove(ours)
    left += before
    list_[:] = [each for place, each in enumerate(left) if each not in left[:place]]
    return list_


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class Loading:
    def __init__(self, root: Path, read: Read | None = None, only: bool = False, seen: Seen | None = None) -> None:
        """`read` gives what runs; without it, or of what it does not know, that is what is on disk. `only`: what it
        does not know cannot be imported. `seen` is told what takes part."""
        self._root = str(root.absolute())
        self._roots = tuple(dict.fromkeys(each + os.sep for each in (self._root, str(root.resolve()))))
        self._read = read
        self._only = only
        self._seen = seen
        self._modules: dict[str, ModuleType] = {}  # what was loaded so far: tools of one project share their modules
        self._quoted: set[str] = set()  # what stands in quotes in them
        self._begun = False
        self._environments: dict[str, bool] = {}

    @contextmanager
    def first(self) -> Iterator[None]:
        """The project's folder is searched first, and its modules are forgotten afterwards. One at a time."""
        finder = _Finder(self)
        if not self._begun:
            loaded = sys.modules.copy()  # at once: other threads may import meanwhile
            self._forget({name for name, module in loaded.items() if self._is_others(name, module)})
        self._begun, before = True, set(sys.modules)
        sys.modules.update(self._modules)
        path, finders = (sys.path, [*sys.path]), (sys.meta_path, [*sys.meta_path])
        hooks = [*sys.path_hooks]
        sys.path.insert(0, self._root)
        sys.meta_path.insert(0, finder)
        for folder, known in sys.path_importer_cache.copy().items():
            if isinstance(known, FileFinder) and (folder + os.sep).startswith(self._roots):
                known.invalidate_caches()  # of two saves within a tick of the clock it knows the first
        try:
            yield
        finally:
            if sys.path != [self._root, *path[1]] or sys.meta_path != [finder, *finders[1]] or sys.path_hooks != hooks:
                self.seen("", False)  # from here on other places are searched, or in another way
            sys.meta_path = _mended(*finders, sys.meta_path, finder)
            sys.path = _mended(*path, sys.path, self._root)
            for name in finder.compiled.keys() & sys.modules.keys():
                _compiled.setdefault(*finder.compiled[name])
            self._modules = self._forget(before)

    def seen(self, name: str, usual: bool) -> None:
        if self._seen is not None:
            self._seen(name, usual)

    def usual(self, name: str, path: str) -> bool:
        """Whether this is where the name of a module says that it is."""
        place = name.replace(".", os.sep)
        return path in {
            f"{root}{place}{end}" for root in self._roots for end in (".py", f"{os.sep}__init__.py", "", os.sep)
        }

    def owns(self, path: str) -> bool:
        """Whether this file is the project's: in its folder, and not in an environment, or of Python's, there."""
        return path.startswith(self._roots) and not self._is_installed(path.rpartition(os.sep)[0])

    def place(self, frame: FrameType | None) -> tuple[str, int] | None:
        """The file of the project and the line in it where this stands, or was called from."""
        while frame is not None and not self.owns(frame.f_code.co_filename):
            frame = frame.f_back
        return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else None

    def let_go(self) -> None:
        """Of an import that never ends: whoever imports the same once more would wait for it."""
        for name in self._modules:
            _locks.pop(name, None)

    def loader(self, name: str, path: str) -> SourceFileLoader:
        content = self._known(path)
        if content is None and self._only:
            raise self._other(name, path)
        return _Source(name, path, content, self._quoted)

    def check(self, name: str, path: str) -> None:
        """Of what is not loaded from bytes: raises ImportError where it is not what may be imported."""
        if self._only and self._known(path) != Path(path).read_bytes():
            raise self._other(name, path)

    def _known(self, path: str) -> bytes | None:
        above = next(root for root in self._roots if path.startswith(root))
        return self._read and self._read(path[len(above) :].replace(os.sep, "/"))

    def _other(self, name: str, path: str) -> ImportError:
        return ImportError(f"{path} is not what was applied", name=name, path=path)

    def _is_installed(self, folder: str) -> bool:
        if not folder.startswith(self._roots):
            return False
        if folder not in self._environments:
            above, _, name = folder.rpartition(os.sep)
            self._environments[folder] = (
                name in _INSTALLED
                or folder in _RUNNING
                or Path(folder, "pyvenv.cfg").exists()
                or self._is_installed(above)
            )
        return self._environments[folder]

    def _forget(self, before: set[str]) -> dict[str, ModuleType]:
        """Takes the project's modules that were not there before out of the process, and gives them."""
        loaded = dict(sys.modules)
        own = {name: loaded[name] for name in loaded.keys() - before if self._is_own(name, loaded[name])}
        for name in [name for name, module in own.items() if getattr(module, "__file__", None) is None]:
            if any(other.startswith(f"{name}.") for other in loaded.keys() - own.keys()):
                del own[name]  # a folder that installed modules have in common with the project
        for name in own:
            sys.modules.pop(name, None)
            above, _, last = name.rpartition(".")
            if above in loaded and above not in own:
                loaded[above].__dict__.pop(last, None)  # else `from above import last` would find it
        return own

    def _is_others(self, name: str, module: ModuleType) -> bool:
        """Whether importing this name would not find the project's file that was loaded as it. Whoever runs us from
        the project's folder may have modules there under other names, which are no tools'."""
        file = getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(file, str) or not file.startswith(self._roots):
            return isinstance(file, str)
        place = name.replace(".", os.sep)
        return not file.startswith(
            tuple(f"{root}{place}{end}" for root in self._roots for end in (".", f"{os.sep}__init__."))
        )

    def _is_own(self, name: str, module: ModuleType) -> bool:
        known: Mapping[str, Any] = getattr(module, "__dict__", {})  # asking the module itself may load things
        file = known.get("__file__")
        if isinstance(file, str):
            return file.startswith(self._roots) and name.partition(".")[0] not in _NEVER and self.owns(file)
        try:
            return name not in _NEVER and (
                any(self.owns(folder + os.sep) for folder in known.get("__path__", ()))
                or (known.get("__spec__") is None and name in self._quoted)  # made by hand
            )
        except Exception:  # the folder above it is gone from sys.modules
            return False


class _Finder:
    """Finds what the others find; where that is the project's, it is loaded as the law above says."""

    def __init__(self, loading: Loading) -> None:
        self._loading = loading
        self.compiled: dict[str, tuple[str, str]] = {}  # path and digest of what was found, whether it loads or not

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find: Any = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find and find(name, path, target)
            if spec is not None:
                self._tell(name, spec)
                if type(spec.loader) is SourceFileLoader and self._loading.owns(spec.loader.path):
                    spec.loader, spec.cached = self._loading.loader(spec.loader.name, spec.loader.path), None
                elif spec.has_location and spec.origin and self._loading.owns(spec.origin):
                    self._loading.check(name, spec.origin)
                    if isinstance(spec.loader, ExtensionFileLoader):
                        self.compiled[name] = spec.origin, _digest(spec.origin)
                return spec
        if any(self._loading.owns(f"{each}{os.sep}") for each in path or ()):
            self._loading.seen(name, True)
        return None

    def _tell(self, name: str, spec: ModuleSpec) -> None:
        origin = spec.origin if spec.has_location else None
        places = [origin] if origin else [f"{each}{os.sep}" for each in spec.submodule_search_locations or ()]
        if any(map(self._loading.owns, places)):
            plain = origin is None or type(spec.loader) is SourceFileLoader
            self._loading.seen(name, plain and all(self._loading.usual(name, each) for each in places))


class _Source(SourceFileLoader):
    def __init__(self, name: str, path: str, content: bytes | None, quoted: set[str]) -> None:
        super().__init__(name, path)
        self._content = content
        self._quoted = quoted

    def get_data(self, path: str) -> bytes:
        content, self._content = self._content, None  # once: whoever asks later wants what is on disk
        found = super().get_data(path) if content is None or path != self.path else content
        self._quoted.update(map(bytes.decode, _QUOTED.findall(found)))
        return found

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError("its bytecode is not asked for: of two saves within a second it may be that of the first")
