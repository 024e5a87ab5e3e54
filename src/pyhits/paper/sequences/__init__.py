"""The paper's four sequences (Section 3.2, Appendix A.3), each made by one function.

>>> from pyhits.paper import sequences
>>> sequence = sequences.fugue()
>>> sequence.data.shape
(2077, 128)

The same call makes the same numbers. Nothing is kept for the next call: by default the wake takes
minutes, the flower most of one.
"""

from pyhits.paper.sequences.flower import blooming_flower
from pyhits.paper.sequences.ks import kuramoto_sivashinsky
from pyhits.paper.sequences.music import fugue, read_audio, write_wav
from pyhits.paper.sequences.sequence import Sequence
from pyhits.paper.sequences.wake import cylinder_wake

__all__ = [
    "Sequence",
    "blooming_flower",
    "cylinder_wake",
    "fugue",
    "kuramoto_sivashinsky",
    "read_audio",
    "write_wav",
]
