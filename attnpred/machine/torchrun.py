"""torchrun, but silent where a rank left with the code of a mistake that whoever started the ranks tells."""

import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from attnpred.errors import UserError
from attnpred.machine.processes import UNTOLD

if __name__ == "__main__":
    logging.disable(logging.ERROR)  # of torchrun's own, which repeat what the error below says
    try:
        main()
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        if code in (UserError.exit_code, UNTOLD):
            sys.exit(code)
        raise
