"""What ``import nbtune`` takes in a fresh process, median of 20. Prints a line.

python tests/benchmarks/import_time.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

TIMED = "import time; begun = time.perf_counter(); import nbtune; print(time.perf_counter() - begun)"


def main() -> None:
    seconds = [
        float(subprocess.run([sys.executable, "-c", TIMED], capture_output=True, check=True).stdout) for _ in range(20)
    ]
    print(f"import nbtune: {1e3 * statistics.median(seconds):.1f} ms (slowest {1e3 * max(seconds):.1f})")


if __name__ == "__main__":
    main()
