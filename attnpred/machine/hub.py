"""Where data and weights are found: one rule for both, that needs no network once they are there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnpred.errors import UserError
from attnpred.files import path_of

ROOT_VARIABLE = "ATTNPRED_DATA"
PROBE_SECONDS = 10.0  # for the hub to answer at all


def locate(name: str, *, place: str) -> Path | None:
    """The local directory that `name` stands for; None where only the hub (or its cache on disk) can have it.

    A directory is taken as it is; a hub id is looked up below the root in `ATTNPRED_DATA`, whole or by its last part.
    `place` is the option that named it, for the error.
    """
    given = path_of(name, f"{place}=")
    if given.is_dir():
        return _alone(given.resolve(), f"{place}={name}")
    root = os.environ.get(ROOT_VARIABLE)
    for candidate in (name, name.rpartition("/")[2]) if root else ():
        found = path_of(str(root), f"{ROOT_VARIABLE}=") / candidate
        if path_of(str(found), f"{place}=").is_dir():
            return _alone(found.resolve(), f"{place}={name}")
    if given.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UserError(f"{place}={name}: no such directory; give an existing one or a hub id such as owner/name")
    return None


def _alone(directory: Path, named: str) -> Path:
    """The directory, unless it holds all that there is: every file of it would be looked at."""
    root = directory == Path(directory.anchor)
    if root or directory == path_of("~", f"{named}: ").resolve():
        what = "the root of the whole disk" if root else "your home directory"
        raise UserError(f"{named}: is {what}; give the directory that holds the files alone")
    return directory


def absent(name: str, *, place: str) -> UserError:
    """The error for a hub id that neither disk nor network could serve: what was looked for, and both remedies."""
    root = os.environ.get(ROOT_VARIABLE)
    looked = f"below {ROOT_VARIABLE}={root}" if root else f"{ROOT_VARIABLE} is not set"
    return UserError(
        f"{place}={name}: not a local directory, not found locally ({looked}), not in the hub's cache, "
        f"and the hub cannot be reached; set {place}=DIRECTORY or {ROOT_VARIABLE}=ROOT to a local copy, "
        "or connect to the network once"
    )


def require(name: str, revision: str | None, *, place: str, kind: str) -> str:
    """The commit of `name` on the hub, which is asked once, or raises: the libraries go on trying for minutes."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return str(HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=PROBE_SECONDS).sha)
    except RevisionNotFoundError as error:
        raise UserError(f"{place}={name}: the hub's {kind} has no revision {revision}; name another or null") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"{place}={name}: neither a local directory nor a {kind} on the hub that may be read; give one of these"
        ) from error
    except HfHubHTTPError as error:
        raise UserError(f"{place}={name}: the hub refuses: {' '.join(str(error).split())}") from error
    except Exception as error:  # its HTTP library's own errors, which differ between versions
        raise absent(name, place=place) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without the library's loading report, its warnings, and the progress bar over tensors."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
