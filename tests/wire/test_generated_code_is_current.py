from __future__ import annotations

from tools.proto import SOURCES, TARGET, list_differences


def test_the_generated_code_is_what_the_sources_generate() -> None:
    assert list_differences(SOURCES, TARGET) == []
