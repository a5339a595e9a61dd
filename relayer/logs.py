"""Log lines: for people, or one JSON object each for machines.  They go to standard error."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


_present: dict[str, str] = {"format": "text", "level": "info"}
"""What was set last: there is one log a process."""


def current_level() -> str:
    """Return the level from which on lines are logged."""
    return _present["level"]


def set_level(level: str) -> None:
    """Log from another level on, in the same form."""
    set_up_logs(_present["format"], level)


def set_up_logs(log_format: str, level: str) -> None:
    """Send the process's log lines to standard error, from a level on."""
    _present.update(format=log_format, level=level)
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks
            if log_format == "json"
            else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
