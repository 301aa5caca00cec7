"""From a plan to its running process: `pushcast run ROLE…`, and the supervisor's forks without the command line.

A fork that went through the command line made its own copy of 4 MB that it shared with the others before.
"""

from __future__ import annotations

from pushcast.config.settings import Settings
from pushcast.runtime.layout import ProcessPlan


def run(settings: Settings, plan: ProcessPlan) -> int:
    """Blocks until SIGTERM or SIGINT. Returns the exit code: 0 stopped, 2 refused, 65 flood guard, 70 unexpected.

    Raises ConfigurationError, or another PushcastError, before anything is handled.
    """
    if "gateway" in plan.roles:
        from pushcast.runtime.gateway import run_gateway

        return run_gateway(settings, plan.ready_fd)
    if "console" in plan.roles:
        from pushcast.runtime.console import run_console

        return run_console(settings, plan.ready_fd)
    if "reporter" in plan.roles:
        from pushcast.runtime.reporter import run_reporter

        return run_reporter(settings, plan.slot, plan.ready_fd)
    from pushcast.runtime.process import run_roles

    return run_roles(settings, plan.roles, plan.lanes, plan.platforms, plan.slot, plan.since_ms, plan.ready_fd)
