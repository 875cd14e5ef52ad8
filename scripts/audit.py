"""What is known of holes in the packages of this environment, by `pip-audit`; `make audit` runs it.

Exit codes: 0 nothing is known; 1 a hole is known; 3 nobody could be asked, which says nothing either way.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

COMMAND = (sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", "--skip-editable")
OURS = "attnpred"


def main(command: Sequence[str] = COMMAND) -> int:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(
            f"audit: the database of known holes cannot be reached, so nothing was audited: {reason}", file=sys.stderr
        )
        return 3
    for package in found:
        for hole in package.get("vulns", []):
            mended = ", ".join(hole["fix_versions"]) or "no release yet"
            print(f"{package['name']} {package['version']}: {hole['id']}, mended by {mended}")
    unknown = [package["name"] for package in found if "skip_reason" in package and package["name"] != OURS]
    if unknown:
        print(
            f"audit: {len(unknown)} of {len(found)} packages could not be asked about: {', '.join(unknown)}",
            file=sys.stderr,
        )
    if any(package.get("vulns") for package in found):
        return 1
    if unknown:
        return 3
    print(f"no hole is known in {len(found)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
