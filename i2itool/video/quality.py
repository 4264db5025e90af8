"""How good or how large: from a crf or a bit rate to what an encoder calls it."""

from __future__ import annotations

import os
import re

from i2itool.errors import OptionError
from i2itool.options import ConvertOptions

# They have no rate control, or one that depends on the profile alone.
_WITHOUT_QUALITY = ("ffv1", "prores", "png", "rawvideo", "utvideo", "huffyuv", "ffvhuff", "dnxhd")
_WORST_CRF = {"libx264": 51, "libx265": 51}
_LAMBDA_PER_QP = 118  # FF_QP2LAMBDA


def rate_control(codec: str, asked: ConvertOptions) -> dict[str, str]:
    """The options of `codec` for the quality or the bit rate that is asked for.

    Raises OptionError for what it cannot do, or has no place for.
    """
    if codec == "libsvtav1":
        # Its library announces itself on stderr, past FFmpeg's log, and can be told only like this.
        os.environ.setdefault("SVT_LOG", "1")
    if asked.crf is not None and codec.startswith(_WITHOUT_QUALITY):
        raise OptionError(f"{codec} has no crf", hint="leave --crf out")
    if asked.bitrate is None:
        return quality_options(codec, asked.quality)
    if codec.startswith(_WITHOUT_QUALITY):
        raise OptionError(f"{codec} takes no bit rate", hint="leave --bitrate out")
    return {"b": str(parse_bitrate(asked.bitrate))}


def parse_bitrate(text: str) -> int:
    """Bits per second of `5M`, `800k` or `2000000`; raises OptionError if it is none of these."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text.strip())
    bits = round(float(match[1]) * {"": 1, "k": 1000, "m": 1_000_000}[match[2].lower()]) if match else 0
    if bits < 1:
        raise OptionError(f"'{text}' is no bit rate", hint="bits per second, for instance 5M or 800k")
    return bits


def quality_options(codec: str, crf: int) -> dict[str, str]:
    """The options that ask `codec` for the quality `crf`, in the way that it understands."""
    if codec.startswith(_WITHOUT_QUALITY):
        return {}
    if crf > _WORST_CRF.get(codec, crf):
        raise OptionError(f"{codec} knows no crf {crf}", hint=f"0 to {_WORST_CRF[codec]}")
    if codec.endswith("_nvenc"):
        return {"rc": "vbr", "cq": str(crf)}
    if codec.endswith("_qsv"):
        return {"global_quality": str(crf)}
    if codec.endswith("_amf"):
        return {"rc": "cqp", "qp_i": str(crf), "qp_p": str(crf)}
    if codec == "libvpx-vp9":
        # Without a bit rate of 0 it would keep to one that it chose itself.
        return {"crf": str(crf), "b": "0"}
    if codec.startswith(("libx26", "libvpx", "libsvtav1", "libaom")):
        return {"crf": str(crf)}
    # MPEG-4 and its kin know quantisers from 1 to 31 only; halving takes 18 to a very good 9 / 3.
    return {"flags": "+qscale", "global_quality": str(max(1, crf // 6) * _LAMBDA_PER_QP)}
