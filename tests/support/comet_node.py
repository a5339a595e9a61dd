"""A real CometBFT node with a kvstore, in two processes, without any of the product's own node tooling."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.parse
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.error import URLError

from tests.support.localnet_ports import free_ports
from tests.support.processes import PATIENCE_S, connect_to, python_module, run_process, wait_for
from tests.support.tools import require_tool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

Json = dict[str, "Json"]
"""A JSON object, as far as the tests look at it; its leaves are texts."""
