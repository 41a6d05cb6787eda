"""How tests start two processes of one training."""

import os
import sys

TORCHRUN = [
    *(sys.executable, "-c"),
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from torch.distributed.run import main; main()",
    *("--nproc-per-node", "2"),
]
ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}
