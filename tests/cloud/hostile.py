"""Addresses that look like a documented one of a certificate, and are not."""

from __future__ import annotations

_HOST = "mnstest.oss-cn-hangzhou.aliyuncs.com"
_FILE = "/x509_public_certificate.pem"


def variations(host: str, file: str) -> list[str]:
    """Hostile addresses made of a documented one: schemes, hosts, ports, paths, escapes."""
    first, _, rest = host.partition(".")
    bare = [
        f"http://127.0.0.1{file}",
        "http://169.254.169.254/latest/meta-data/x.pem",
        f"https://[::1]{file}",
        f"https://2130706433{file}",
        f"https://localhost{file}",
        f"file://{host}{file}",
        f"ftp://{host}{file}",
        f"gopher://{host}{file}",
        f"HTTPS://{host}{file}",
        f"//{host}{file}",
        f"{host}{file}",
        f"https:/{host}{file}",
        f"https:\\\\{host}{file}",
        f"https:///{host}{file}",
        f"javascript:https://{host}{file}",
        "",
        "data:text/plain;base64,LS0t",
    ]
    hosts = [
        f"{host}.evil.example",
        f"evil-{host}",
        f"evil.{host}",
        f"{host}@evil.example",
        f"evil.example@{host}",
        f"user:secret@{host}",
        f"{host}:443",
        f"{host}:8443",
        f"{host}:80",
        f"{host}.",
        f"{host}..",
        f".{host}",
        host.upper(),
        host.replace("aliyuncs", "aliyunсs"),  # a Cyrillic letter # noqa: RUF001  # that is the point
        host.replace("aliyuncs", "xn--aliyuns-95g"),
        host.replace(".", "。"),
        host.replace(".", "．", 1),  # noqa: RUF001  # a full-width full stop
        host.replace("a", "ａ", 1),  # noqa: RUF001  # a full-width letter
        host.replace("aliyuncs", "aliyuncs​"),  # noqa: PLE2515  # a space of no width
        host.replace("aliyuncs.com", "aliyuncs.com.cn"),
        host.replace("aliyuncs.com", "aliyuncs.co"),
        host.replace(".", "%2e", 1),
        f"{host}%00.evil.example",
        f"{host}\\@evil.example",
        f"{host}#@evil.example",
        f"{host}?@evil.example",
        f"{host} ",
        f"{host}\n.evil.example",
        f"{host}\t",
        f"{first}-2.{rest}",
        f"{first}x.{rest}",
        rest,
        "evil.example/" + host,
        f"evil.example#{host}",
        f"evil.example?{host}",
        f"evil.example\\{host}",
    ]
    files = [
        "",
        "/",
        "/../x.pem",
        "/%2e%2e/x.pem",
        f"/..{file}",
        f"//evil.example{file}",
        f"/evil{file}",
        f"{file}?x=1",
        f"{file}#x",
        f"{file};x",
        f"{file}%00",
        f"{file}\n",
        f" {file}",
        f"{file}/..",
        "/x509_public_certificate.pem.exe",
        "/certificate.txt",
        f"{file}?redirect=https://evil.example/x.pem",
        "/" + "x" * 600 + ".pem",
    ]
    return [
        *bare,
        *(f"https://{each}{file}" for each in hosts),
        *(f"https://{host}{each}" for each in files),
    ]


HOSTILE_SMQ = [
    *variations(_HOST, _FILE),
    "https://mnstest.oss-cn-beijing.aliyuncs.com/x509_public_certificate.pem",
    "https://mnstest.oss-cn-hangzhou-internal.aliyuncs.com/x509_public_certificate.pem",
    "https://mns-cert.oss-cn-nowhere.aliyuncs.com/x509_public_certificate.pem",
    "https://mns-cert.oss-cn-.aliyuncs.com/x509_public_certificate.pem",
    "https://mns-cert.oss-cn-hangzhou.evil.aliyuncs.com/x509_public_certificate.pem",
    "https://evil.oss-cn-hangzhou.aliyuncs.com/x509_public_certificate.pem",
    "https://oss-cn-hangzhou.aliyuncs.com/mnstest/x509_public_certificate.pem",
    "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
]
HOSTILE_EVENTBRIDGE = [
    *variations(
        "cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com", "/x509_public_certificate_prod_1.pem"
    ),
    "http://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
    # Buckets that anybody can have: their regions do not exist, or are not ours.
    "https://cn-nowhere-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
    "https://cn-beijing-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
    "https://evil-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
    "https://-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
    "https://cn-hangzhou-eventbridge.oss-cn-hangzhou.aliyuncs.com/x509_public_certificate_1.pem",
    # Other files in the right bucket.
    "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate.pem",
    "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/uploaded.pem",
    "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x/x509_public_certificate_1.pem",
    "https://mnstest.oss-cn-hangzhou.aliyuncs.com/x509_public_certificate_1.pem",
]
