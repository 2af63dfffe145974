"""What an error of an object store's client means, and what to do about it.

The clients translate the same answer into different exceptions, and some into none that says anything: the answer's
own code decides, where there is one. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import builtins
from collections.abc import Iterator
from enum import Enum
from typing import Any


class Fault(Enum):
    """What kind of fault."""

    THERE = "there is an object already"
    ABSENT = "there is no such object"
    BUCKET = "there is no such bucket"
    CREDENTIALS = "no credentials"
    DENIED = "not allowed"
    CLOCK = "this machine's clock is wrong"
    WRONG = "refused"
    PASSING = "does not answer"


REMEDIES = {
    Fault.BUCKET: "make it first, or check its name and the endpoint (AWS_ENDPOINT_URL for other stores than Amazon's)",
    Fault.CREDENTIALS: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), for gs://"
    " GOOGLE_APPLICATION_CREDENTIALS, for az:// AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    Fault.DENIED: "use credentials that may list, read, write and delete there",
    Fault.CLOCK: "set the clock of this machine: the store takes no requests that are minutes off",
    Fault.WRONG: "check the URL",
    Fault.PASSING: "see that the store is up and can be reached from here, then run the same command again",
    Fault.THERE: "choose another name",
    Fault.ABSENT: "check the URL",
}
CODES = {
    "PreconditionFailed": Fault.THERE,
    "NoSuchBucket": Fault.BUCKET,
    "ContainerNotFound": Fault.BUCKET,
    "RequestTimeTooSkewed": Fault.CLOCK,
    "ConditionalRequestConflict": Fault.PASSING,
    "OperationAborted": Fault.PASSING,
    "RequestTimeout": Fault.PASSING,
    "SlowDown": Fault.PASSING,
}
STATUSES = {412: Fault.THERE, 404: Fault.ABSENT, 401: Fault.CREDENTIALS, 403: Fault.DENIED, 501: Fault.WRONG}
REPEATED = (408, 409, 429)
"""Of the answers 400 to 499 those that the same request may not get again."""
WITHOUT_CREDENTIALS = ("Credential", "TokenRetrieval", "SSOToken", "ProfileNotFound", "RefreshError")
"""Parts of names of exceptions, of botocore, google-auth and azure-identity."""
KINDS: dict[type[BaseException], Fault] = {
    FileExistsError: Fault.THERE,
    FileNotFoundError: Fault.ABSENT,
    PermissionError: Fault.DENIED,
    **dict.fromkeys((ValueError, TypeError, NotImplementedError, ImportError, AttributeError), Fault.WRONG),
}
WRONG_NAMES = ("ParamValidation", "InvalidRegion", "InvalidEndpoint", "UnknownService")
LONGEST = 200  # characters of a client's own words


def fault_of(error: BaseException) -> Fault:
    """What it means: by the answer's code, by its status, by the exception's name, by its kind."""
    for each in _chain(error):
        code, status = _answer(each)
        if code in CODES:
            return CODES[code]
        if status is not None:
            found = STATUSES.get(status, Fault.PASSING if status >= 500 or status in REPEATED else Fault.WRONG)
            return Fault.ABSENT if isinstance(error, FileNotFoundError) and found is Fault.WRONG else found
    names = [type(each).__name__ for each in _chain(error)]
    if any(part in name for name in names for part in WITHOUT_CREDENTIALS):
        return Fault.CREDENTIALS
    if any(part in name for name in names for part in WRONG_NAMES):
        return Fault.WRONG
    return next((fault for kind, fault in KINDS.items() if isinstance(error, kind)), Fault.PASSING)


def explained(error: BaseException, fault: Fault, url: str) -> str:
    """One line: where, what, the client's own words, what to do."""
    words = " ".join(str(error).split())[:LONGEST] or type(error).__name__
    return f"{url}: {fault.value} ({words}); {REMEDIES[fault]}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _answer(error: BaseException) -> tuple[str, int | None]:
    """Code and HTTP status of the answer that an exception stands for; "" and None where it stands for none."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        code = str(response.get("Error", {}).get("Code", ""))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return code, status if isinstance(status, int) else int(code) if code.isdecimal() else None
    if type(error).__module__ == builtins.__name__:
        return "", None
    status = getattr(error, "status_code", None) or getattr(error, "code", None)  # azure-core; gcsfs
    code = str(getattr(error, "error_code", "") or "")
    return code, status if isinstance(status, int) and 400 <= status < 600 else None
