from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.proto import GenerationError, list_differences, move_imports, update_target

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = 'syntax = "proto3";\npackage example.one;\nmessage Thing { uint64 number = 1; }\n'
SERVICE = (
    'syntax = "proto3";\npackage example.two;\nimport "example/one/thing.proto";\n'
    "service Shop { rpc Buy(.example.one.Thing) returns (.example.one.Thing); }\n"
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "proto"
    for name, text in (("one/thing.proto", MESSAGE), ("two/shop.proto", SERVICE)):
        path = folder / "example" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder


def test_every_folder_is_a_package_and_only_services_get_grpc_code(sources: Path, tmp_path: Path) -> None:
    assert update_target(sources, tmp_path / "wire") == [
        "__init__.py",
        "example/__init__.py",
        "example/one/__init__.py",
        "example/one/thing_pb2.py",
        "example/one/thing_pb2.pyi",
        "example/two/__init__.py",
        "example/two/shop_pb2.py",
        "example/two/shop_pb2.pyi",
        "example/two/shop_pb2_grpc.py",
        "example/two/shop_pb2_grpc.pyi",
    ]


def test_a_second_run_changes_nothing(sources: Path, tmp_path: Path) -> None:
    update_target(sources, tmp_path / "wire")
    assert update_target(sources, tmp_path / "wire") == []


def test_code_without_a_source_is_removed(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "wire"
    update_target(sources, target)
    (sources / "example" / "two" / "shop.proto").unlink()
    update_target(sources, target)
    assert not (target / "example" / "two").exists()
    assert list_differences(sources, target) == []


def test_each_kind_of_difference_is_named(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "wire"
    update_target(sources, target)
    (target / "example" / "one" / "thing_pb2.py").write_text("edited\n")
    (target / "example" / "two" / "shop_pb2.pyi").unlink()
    (target / "old_pb2.py").touch()
    assert list_differences(sources, target) == [
        "differs: example/one/thing_pb2.py",
        "missing: example/two/shop_pb2.pyi",
        "left over: old_pb2.py",
    ]


def test_a_wrong_source_is_refused_and_leaves_the_code_alone(sources: Path, tmp_path: Path) -> None:
    target = tmp_path / "wire"
    update_target(sources, target)
    before = (target / "example" / "one" / "thing_pb2.py").read_bytes()
    (sources / "example" / "one" / "thing.proto").write_text(MESSAGE.replace("uint64", "number64"))
    with pytest.raises(GenerationError, match="number64"):
        update_target(sources, target)
    assert (target / "example" / "one" / "thing_pb2.py").read_bytes() == before


def test_imports_of_generated_modules_move_and_others_stay() -> None:
    text = "from example.one import thing_pb2 as t\nfrom google.protobuf import any_pb2\nfrom examples import x\n"
    assert move_imports(text, ["example"], "wire") == text.replace(
        "from example.one", "from wire.example.one"
    )


def test_an_unknown_form_of_import_is_refused() -> None:
    with pytest.raises(GenerationError, match=r"import example\.one\.thing_pb2"):
        move_imports("import example.one.thing_pb2\n", ["example"], "wire")
