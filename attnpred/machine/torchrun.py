"""torchrun, but silent where a rank left with the code of a user's mistake: whoever started the ranks tells that."""

import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from attnpred.errors import UserError

if __name__ == "__main__":
    logging.disable(logging.ERROR)  # of torchrun's own, which repeat what the error below says
    try:
        main()
    except ChildFailedError as error:
        if error.get_first_failure()[1].exitcode == UserError.exit_code:
            sys.exit(UserError.exit_code)
        raise
