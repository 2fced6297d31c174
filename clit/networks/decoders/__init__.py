"""Decoders: "what colour is at this coordinate?", one idea a file, one interface (`base.Decoder`).

field = decoder.prepare(features, view)           # once per view
rgb = decoder.query(field, positions)             # at any pixels, by the plain definition
attended = decoder.attend(field, positions)       # what `query` blended
rgb = decoder.render(field)                       # all pixels of the view, in the fast order
"""

from clit.config import CLITConfig, InterpolationConfig, LIIFConfig, LTEConfig
from clit.networks.decoders.clit import CLIT
from clit.networks.decoders.interpolation import Interpolation
from clit.networks.decoders.liif import LIIF
from clit.networks.decoders.lte import LTE

DECODERS = {
    InterpolationConfig.name: Interpolation,
    LIIFConfig.name: LIIF,
    LTEConfig.name: LTE,
    CLITConfig.name: CLIT,
}
