"""Sizes where they count, against the encoders themselves."""

from __future__ import annotations

import base64
import binascii
import re
import time
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.schema.problems import Refused
from shared.schema.sizes import base64_decoded_size, form_encoded_size


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(deadline=None)  # a busy machine proves nothing
def test_the_form_encoded_size_is_that_of_the_encoder(text: str) -> None:
    """Counting gives what urllib, and so the SDK, would make."""
    assert form_encoded_size(text) == len(urlencode({"": text})) - len("=")


def test_each_byte_counts_as_the_encoder_makes_it() -> None:
    """All 128 ASCII characters, one by one."""
    for code in range(128):
        assert form_encoded_size(chr(code)) == len(quote_plus(chr(code))), chr(code)


def test_a_body_of_many_megabytes_is_counted_in_no_time() -> None:
    """8 MB take hundredths of a second; encoding them would take some."""
    text = "<p>上海 hello & bye</p>" * 350_000
    started = time.perf_counter()
    size = form_encoded_size(text)
    assert size > 8 * 1024 * 1024
    assert time.perf_counter() - started < 1


def test_half_a_surrogate_pair_has_no_size() -> None:
    """What UTF-8 cannot carry is refused, not measured."""
    with pytest.raises(Refused) as caught:
        form_encoded_size("\ud83d")
    assert caught.value.problems[0].type == "not-unicode"


@given(st.binary())
@settings(deadline=None)  # a busy machine proves nothing
def test_the_decoded_size_is_that_of_the_decoder(data: bytes) -> None:
    """Whatever is encoded is accepted, at its own size."""
    assert base64_decoded_size(base64.b64encode(data).decode()) == len(data)


@given(st.text("AQZaz09+/=- \n", max_size=12))
@settings(deadline=None)  # a busy machine proves nothing
def test_only_strict_base64_is_accepted(content: str) -> None:
    """Accepted is exactly: padded quartets of the standard alphabet."""
    strict = re.fullmatch(
        r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", content
    )
    if strict and not content.endswith("\n"):
        assert base64_decoded_size(content) == len(binascii.a2b_base64(content))
    else:
        with pytest.raises(Refused):
            base64_decoded_size(content)


@pytest.mark.parametrize(
    "content",
    ["YQ", "YQ=", "YQ===", "=", "====", "YW=Q", "YQ==\n", "Y Q=", "_-==", "YQ==YQ==", "é"],
)
def test_what_a_lenient_decoder_would_take_is_refused(content: str) -> None:
    """Missing padding, line breaks, the URL alphabet and two texts in one are mistakes."""
    with pytest.raises(Refused) as caught:
        base64_decoded_size(content)
    assert caught.value.problems[0].type == "base64"
