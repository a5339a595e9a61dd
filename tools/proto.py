"""Generate `wire/` from `proto/`.

    python tools/proto.py           write the generated code
    python tools/proto.py --check   only say which files are not what they should be

Needs the `proto` dependency group and no network. protoc writes absolute imports of the protobuf packages
(`from tendermint.crypto import keys_pb2`); here they are moved into the package `wire`, while the names that
travel (`tendermint.abci.Request`) stay public.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"
TARGET = ROOT / "wire"

PACKAGE_TEXT = '"""Code generated from `proto/` by `tools/proto.py`: change it there."""\n'


class GenerationError(Exception):
    """protoc or one of its plugins is missing or refused the sources."""


def list_sources(sources: Path) -> list[str]:
    """All .proto files under `sources`, relative to it, in the order of their names."""
    return sorted(path.relative_to(sources).as_posix() for path in sources.rglob("*.proto"))


def find_plugin(name: str) -> str:
    """Path of a protoc plugin: the running environment's, or else one on PATH.

    Raises:
        GenerationError: it is in neither place.
    """
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    if found is None:
        raise GenerationError(f"expected {name} in the environment, got none: install the group `proto`")
    return found


def run_protoc(sources: Path, files: list[str], *options: str) -> None:
    """Run protoc on `files` (names relative to `sources`).

    Raises:
        GenerationError: protoc failed; its own words are in the message.
    """
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={sources}", *options, *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise GenerationError(f"expected protoc to succeed, got exit {result.returncode}:\n{result.stderr}")


def list_files_with_services(sources: Path, files: list[str]) -> list[str]:
    """Those of `files` that declare a service: only they get gRPC code."""
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "descriptors.bin"
        run_protoc(sources, files, f"--descriptor_set_out={description}")
        described = descriptor_pb2.FileDescriptorSet.FromString(description.read_bytes())
    return sorted(file.name for file in described.file if file.service)


def move_imports(text: str, roots: list[str], package: str) -> str:
    """Put the generated modules whose first name is in `roots` under `package`.

    Touches the imports, and the module name that protobuf's builder gives to the classes, without which they
    could not be pickled.

    Raises:
        GenerationError: there is an import in a form that this function does not know.
    """
    first = "|".join(map(re.escape, roots))
    text = re.sub(
        rf"^from ((?:{first})\.[\w.]+) import ", rf"from {package}.\1 import ", text, flags=re.MULTILINE
    )
    left_behind = re.search(rf"^\s*(?:import|from) (?:{first})\b.*", text, flags=re.MULTILINE)
    if left_behind is not None:
        raise GenerationError(f"expected imports of the form 'from x import y', got {left_behind[0]!r}")
    module_name = "BuildTopDescriptorsAndMessages(DESCRIPTOR, '"
    return text.replace(module_name, f"{module_name}{package}.")


def generate_code(sources: Path, target: Path) -> None:
    """Write the whole package for the .proto files of `sources` into the empty folder `target`.

    Raises:
        GenerationError: a tool is missing or a source is wrong.
    """
    files = list_sources(sources)
    if not files:
        raise GenerationError(f"expected .proto files under {sources}, got none")
    run_protoc(
        sources,
        files,
        f"--plugin=protoc-gen-mypy={find_plugin('protoc-gen-mypy')}",
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
    )
    with_services = list_files_with_services(sources, files)
    if with_services:
        run_protoc(
            sources,
            with_services,
            f"--plugin=protoc-gen-mypy_grpc={find_plugin('protoc-gen-mypy_grpc')}",
            f"--grpc_python_out={target}",
            f"--mypy_grpc_out=quiet:{target}",
        )
    roots = sorted({name.split("/")[0] for name in files})
    for path in sorted(target.rglob("*.py*")):
        path.write_text(move_imports(path.read_text("utf-8"), roots, TARGET.name), "utf-8")
    for folder in sorted(path for path in target.rglob("*") if path.is_dir()):
        (folder / "__init__.py").touch()
    (target / "__init__.py").write_text(PACKAGE_TEXT, "utf-8")


def read_tree(folder: Path) -> dict[str, bytes]:
    """All files under `folder` by their relative name, without Python's caches."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def list_differences(sources: Path, target: Path) -> list[str]:
    """What separates `target` from what `sources` generate, a line a file; empty if it is current.

    Raises:
        GenerationError: a tool is missing or a source is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        generate_code(sources, Path(folder))
        expected = read_tree(Path(folder))
    present = read_tree(target)
    lines = []
    for name in sorted(expected.keys() | present.keys()):
        if name not in present:
            lines.append(f"missing: {name}")
        elif name not in expected:
            lines.append(f"left over: {name}")
        elif expected[name] != present[name]:
            lines.append(f"differs: {name}")
    return lines


def update_target(sources: Path, target: Path) -> list[str]:
    """Make `target` what `sources` generate; return the names of the files that were written or removed.

    Files that are right already stay untouched, so that programs that import them meanwhile do not notice.

    Raises:
        GenerationError: a tool is missing or a source is wrong; `target` is then as it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        generate_code(sources, Path(folder))
        expected = read_tree(Path(folder))
    present = read_tree(target)
    for name in present.keys() - expected.keys():
        (target / name).unlink()
    written = {name for name, content in expected.items() if present.get(name) != content}
    for name in sorted(written):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(expected[name])
    remove_unused_folders(target)
    return sorted(written | (present.keys() - expected.keys()))


def remove_unused_folders(target: Path) -> None:
    """Remove the folders under `target` that hold no file but Python's caches."""
    folders = [path for path in target.rglob("*") if path.is_dir() and path.name != "__pycache__"]
    for folder in sorted(folders, reverse=True):
        if not read_tree(folder):
            shutil.rmtree(folder)


def main() -> int:
    """Run the command line; 0 means that `wire/` is current."""
    parser = argparse.ArgumentParser(description="Generate wire/ from proto/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if wire/ is not current")
    try:
        if parser.parse_args().check:
            differences = list_differences(SOURCES, TARGET)
            print("\n".join(differences) or "wire/ is current")
            return 1 if differences else 0
        changed = update_target(SOURCES, TARGET)
    except GenerationError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(changed) or "wire/ was current")
    return 0


if __name__ == "__main__":
    sys.exit(main())
