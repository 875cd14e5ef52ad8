"""torchrun on this machine, `COUNT MODULE ARGUMENT…`, with a guard for each rank.

It is silent where a rank left with the code of a mistake, or all were asked to leave: whoever started them tells of it.
"""

import logging
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from attnpred.errors import UserError
from attnpred.machine.processes import UNTOLD, guarded

if __name__ == "__main__":
    logging.disable(logging.ERROR)  # of torchrun's own, which repeat what the error below says
    count, module, *arguments = sys.argv[1:]
    rank = guarded([sys.executable, "-m", module, *arguments])
    try:
        main(["--standalone", f"--nproc-per-node={count}", "--no-python", *rank])
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        if code in (UserError.exit_code, UNTOLD):
            sys.exit(code)
        raise
