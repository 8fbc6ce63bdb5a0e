"""Every limit of the contract, named, with the page it comes from.

Where the documentation contradicts itself, the smaller figure stands: a mail refused here costs
nothing, a mail refused by DirectMail has already taken a permit and an attempt.

Pages:
    [send]     https://www.alibabacloud.com/help/en/direct-mail/api-dm-2015-11-23-singlesendmail
    [attach]   https://help.aliyun.com/zh/direct-mail/product-overview/limits
    [errors]   https://help.aliyun.com/zh/direct-mail/error-codes
    [function] https://www.alibabacloud.com/help/en/functioncompute/fc/product-overview/limits-of-usage
    [queue]    https://www.alibabacloud.com/help/en/mns/product-overview/limits
"""

# --- DirectMail -------------------------------------------------------------------------------

# ToAddress takes up to 100 addresses, BccAddress up to 2. [send]
RECIPIENTS_MAX = 100
BCC_MAX = 2

# Characters. Older pages and DirectMail's own error text say 100, the current page 256. [send]
SUBJECT_MAX = 256

# Characters. FromAlias is "shorter than 15" on one page and "up to 15" on another; nothing is said
# about the alias of a reply address, which is held to the same. [send]
ALIAS_MAX = 14

# Bytes of one body as it travels, percent-encoded in a form: "about 8 MB" when passed in the
# request's body. Whether DirectMail counts before or after the encoding is not said, and encoding
# only ever makes a text longer, so counting after it is safe. [send]
BODY_WIRE_MAX = 8 * 1024 * 1024

# Characters of a tag. [send]
TAG_MAX = 128

# Headers of one mail; DirectMail silently ignores the ones beyond. [send]
HEADERS_MAX = 10

# Postbus takes two of them: a Message-ID of its own and X-User-Notify-Postbus.
HEADERS_RESERVED = 2

# And two more for one-click unsubscribe: List-Unsubscribe and List-Unsubscribe-Post.
HEADERS_UNSUBSCRIBE = 2

# Characters of an address (EmailLengthError). [errors]
ADDRESS_MAX = 192

# Files of one mail. [attach]
ATTACHMENTS_MAX = 100

# Bytes of all files together before base64. DirectMail caps the whole mail at 15 MB after base64
# and tells users to plan with 8 MB of files. It does not say which MB, so the smaller one. [attach]
ATTACHMENTS_BYTES_MAX = 8_000_000

# --- Standards --------------------------------------------------------------------------------

# Characters before the @. https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.1
LOCAL_PART_MAX = 64

# Characters of one label of a domain. https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
LABEL_MAX = 63

# Characters of a header's value. DirectMail documents no limit; a line of a mail has at most 998.
# https://www.rfc-editor.org/rfc/rfc5322#section-2.1.1
HEADER_VALUE_MAX = 998

# --- Postbus's own ----------------------------------------------------------------------------

# Characters of an idempotency key.
KEY_MAX = 256

# Characters of a whole header name, X-User-Notify- included.
HEADER_NAME_MAX = 128

# Characters of an attachment's name: what file systems take.
FILE_NAME_MAX = 255

# Characters of a template's id, an IP pool's id and a lane's name. DirectMail documents none.
ID_MAX = 128

# Values of one template.
TEMPLATE_VALUES_MAX = 1000

# Bytes of one JSON document: what an HTTP call may bring to a function. [function]
DOCUMENT_MAX = 32 * 1024 * 1024

# Names in one object. The largest has fewer than 30 fields; of something far bigger the unknown
# names are not worth listing one by one, which takes seconds for a million.
FIELDS_MAX = 100

# Problems told of one mail, and characters of a value that are repeated in one.
PROBLEMS_MAX = 50
SHOWN_MAX = 80

# --- The way ----------------------------------------------------------------------------------

# Bytes of a queue message as stored (base64 leaves about 48 KB of it). [queue]
QUEUE_BODY_MAX = 65536

# Bytes of it that are kept for the envelope a mail gets when it goes back on the queue.
ENVELOPE_RESERVE = 2048
