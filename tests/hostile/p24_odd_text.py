# ruff: noqa
"""NUL, invalid UTF-8, lone surrogates and escape codes in output, results, names and errors."""

ODD = "\x00\ud800\udfff\x1b[2J\x1b]0;owned\x07\r\n\u202e\u2028\x85\ufeff\x7f"
RAW = b"\x00\xff\xfe\x80\xc0\xaf\xed\xa0\x80\x1b[2J\x1b]0;owned\x07\r\n" + bytes(range(256))
for descriptor in (1, 2):
    attempt(os.write, descriptor, RAW * 50)
attempt(print, ODD)
attempt(lambda: sys.stdout.reconfigure(errors="surrogatepass"))
attempt(print, ODD * 10, flush=True)
Odd = type("Odd\n{\x1b[2J}", (Exception,), {"__module__": "\ud800", "__doc__": ODD})
attempt(setattr, Odd, "__qualname__", "Odd\ud800")


def largest(numbers):
    if numbers[0] == 3:
        return ODD
    if numbers[0] == -5:
        return {ODD: (RAW, ODD * 3), RAW: {ODD}}
    raise Odd(ODD, RAW)
