"""What SMQ refuses, with the status, the code and the words its documentation gives.

The codes are those of the public list; the few that it lacks are marked, with where they are from.
https://www.alibabacloud.com/help/en/mns/developer-reference/syntax-of-error-responses
"""

from __future__ import annotations

_ANSWERS: dict[str, tuple[int, str]] = {
    "EndpointInvalid": (400, "The endpoint of the subscription is invalid."),
    "InternalError": (500, "Interal error."),
    "InvalidAccessKeyId": (403, "The AccessKey Id you provided is not exist."),
    "InvalidAuthorizationHeader": (400, "The Authorization header format is invalid."),
    "InvalidDateHeader": (400, "The Date header format is invalid."),
    "InvalidDegist": (400, "The Content-MD5 you specified is invalid."),  # spelt so by the service
    "InvalidQueryString": (400, "Http request URL contains invalid querystring item."),
    "InvalidQueueName": (
        400,
        (
            "The queue name you provided is invalid. QueueName should start with alpha and contain"
            " only alpha, digit or -."
        ),
    ),
    "InvalidRequestURL": (400, "Http request URL format invalid."),
    # Not in the list: SMQ's documentation says nothing about tokens. OSS's words are used.
    "InvalidSecurityToken": (403, "The security token you provided is invalid."),
    # Not in the list: from the error codes of the official .NET SDK.
    "InvalidVersionHeader": (400, "The x-mns-version header is invalid."),
    "MalformedXML": (400, "The XML you provided was not well-formed."),
    "MessageNotExist": (404, "Message not exist."),
    "MissingAuthorizationHeader": (400, "Authorization header is required."),
    "MissingDateHeader": (400, "Date header is required."),
    "MissingReceiptHandle": (400, "ReceiptHandle is required."),
    # Not in the list: from the error codes of the official .NET SDK.
    "MissingVersionHeader": (400, "x-mns-version header is required."),
    "MissingVisibilityTimeout": (400, "VisibilityTimeout is required."),
    "QueueAlreadyExist": (409, "The queue you want to create is already exist."),
    "QueueNameLengthError": (400, "Queue name length should between 1 and 120."),
    "QueueNotExist": (404, "The queue name you provided is not exist."),
    "ReceiptHandleError": (400, "The receipt handle you provide is not valid."),
    # Not in the list: see InvalidSecurityToken.
    "SecurityTokenExpired": (403, "The security token you provided has expired."),
    "SignatureDoesNotMatch": (
        403,
        (
            "The request signature we calculated does not match the signature you provided."
            " Check your key and signing method."
        ),
    ),
    "SubscriptionAlreadyExist": (409, "The subscription you want to create is already exist."),
    "SubscriptionNameInvalid": (400, "The subscription name you provided is invalid."),
    "SubscriptionNameLengthError": (400, "Subscription name length should between 1 and 255."),
    "SubscriptionNotExist": (404, "The subscription name you provided is not exist."),
    "TimeExpired": (408, "The http request you sent is expired."),
    "TopicAlreadyExist": (409, "The topic you want to create is already exist."),
    "TopicNameInvalid": (400, "The topic name you provided is invalid."),
    "TopicNameLengthError": (400, "Topic name length should between 1 and 120."),
    "TopicNotExist": (404, "The topic name you provided is not exist."),
}


class SmqError(Exception):
    """SMQ's answer to what it will not do.

    Args:
        status: the HTTP status of the answer.
        code: SMQ's error code, such as `MessageNotExist`.
        message: a sentence for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def refusal(code: str, detail: str = "") -> SmqError:
    """The documented error with that code; `detail` is added to the documented words."""
    status, words = _ANSWERS[code]
    return SmqError(status, code, f"{words} {detail}".rstrip())


def invalid_argument(message: str) -> SmqError:
    """A value that SMQ does not take."""
    return SmqError(400, "InvalidArgument", message)


def out_of_range(element: str, low: int, high: int) -> SmqError:
    """A number or a length outside its documented limits, in the documentation's words."""
    return invalid_argument(
        f"The value of {element} should between {low} and {high} seconds/bytes."
    )


def schema_violation(element: str) -> SmqError:
    """XML that is well-formed but not what the operation takes, in the documentation's words."""
    return invalid_argument(
        "The XML you provided did not validate against our published schema,"
        f" cause by {element[:100]}."
    )
