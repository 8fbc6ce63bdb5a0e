"""Headers of Standard Webhooks that are not right, over those of a good message."""

from __future__ import annotations

from shared.hooks.standard import ID, SIGNATURE, TIMESTAMP

_GOOD = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
_IDS = [
    *("", " ", "\t", "a b", "a\tb", "a\nb", "a\r\nb", "msg_p5jXN8AQM9LWM0D4loKWxJek "),
    *(" msg_p5jXN8AQM9LWM0D4loKWxJek", "a.b", ".", "msg_é", "世界", "\u200b", "\x00", "\x7f"),
    *("a" * 201, "a" * 100_000, "msg_P5JXN8AQM9LWM0D4LOKWXJEK", "\ud800"),
]
_TIMESTAMPS = [
    *("", " ", "hello", "-1614265330", "+1614265330", " 1614265330", "1614265330 ", "1614265330.0"),
    *("1,614,265,330", "1_614_265_330", "0x6037BDF2", "1.614e9", "١٦١٤٢٦٥٣٣٠", "1614265330²"),
    *("1614265330\n", "nan", "inf", "9" * 13, "9" * 5_000, "0", "1614265330000", "None", "\ud800"),
]
_SIGNATURES = [
    *("", " ", "v1", "v1,", ",", "v1,,", ",v1", _GOOD, f",{_GOOD}", f"v1 {_GOOD}", f"v1, {_GOOD}"),
    *(f"v1;{_GOOD}", f"v1={_GOOD}", f"V1,{_GOOD}", f"v0,{_GOOD}", f"v2,{_GOOD}", f"v1a,{_GOOD}"),
    *(f"v11,{_GOOD}", f"v1,{_GOOD}=", f"v1,{_GOOD[:-1]}", f"v1,{_GOOD[:-4]}", f"v1,{_GOOD * 2}"),
    *(f"v1,{_GOOD.lower()}", f"v1,{_GOOD},v1", f'"v1,{_GOOD}"', f"v1,{_GOOD}\x00", "v1,\ud800"),
    *("v1,é", "v1," + "A" * 100_000, "v1,x " * 17 + f"v1,{_GOOD}", "v1,🔑", f"v１,{_GOOD}"),  # noqa: RUF001  # a full-width digit
    f"v1,{_GOOD.replace('+', '-').replace('/', '_')}",
]
MALFORMED: list[dict[str, str]] = [
    *({ID: each} for each in _IDS),
    *({TIMESTAMP: each} for each in _TIMESTAMPS),
    *({SIGNATURE: each} for each in _SIGNATURES),
]
