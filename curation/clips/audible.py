"""Sound of a clip that is silent but for some spans, exact to the sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Spans = Sequence[tuple[float, float]]

_FADE: Final = 0.01
"""Length in seconds of the fades at the ends of a span, within it; without them there would be clicks."""


def audible_filter(spans: Spans) -> str:
    """Options of ffmpeg's filter `aeval` that leave the spans and silence everything else.

    Args:
        spans: Start and end of each in seconds of the sound, ascending, without overlap; with none, all is
            silent.

    Examples:
        >>> audible_filter([(1.0, 2.5)])
        'exprs=val(ch)*clip(min(t-1.000000,2.500000-t)/0.01,0,1):channel_layout=same'
    """
    gain = f"val(ch)*{_gain(spans)}" if spans else "0"
    return f"exprs={gain}:channel_layout=same"


def _gain(spans: Spans) -> str:
    """Gain at the time `t`; the span is found by halving, since it is worked out for every sample."""
    if len(spans) == 1:
        ((start, end),) = spans
        return f"clip(min(t-{start:.6f},{end:.6f}-t)/{_FADE},0,1)"
    half = len(spans) // 2
    return f"if(lt(t,{spans[half][0]:.6f}),{_gain(spans[:half])},{_gain(spans[half:])})"
