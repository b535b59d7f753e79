"""What the watcher measures in Python, because a number has to be compared."""

import shutil

import openclaw


@openclaw.tool
def enough_space(call: openclaw.Call, least: int = 10) -> str:
    """Fails where less than this share of the file system of the workspace is free.

    Args:
        least: Percent that should be free.
    """
    usage = shutil.disk_usage(call.workspace)
    free = 100 * usage.free // usage.total
    if free < least:
        raise RuntimeError(f"only {free} % of the disk is free")
    return f"{free} % of the disk is free"
