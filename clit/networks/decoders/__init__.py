"""Decoders: "what colour is at this coordinate?", one idea a file, one interface.

field = decoder.prepare(features, size, window)   # once per view
rgb = decoder.query(field, positions)             # any pixels: the plain definition
weights = decoder.attend(field, positions)        # what `query` blended or attended to
rgb = decoder.render(field)                       # the whole window, in the fast order
"""

from clit.config import CLITConfig, LIIFConfig, LTEConfig
from clit.networks.decoders.clit import CLIT
from clit.networks.decoders.liif import LIIF
from clit.networks.decoders.lte import LTE

DECODERS = {LIIFConfig.name: LIIF, LTEConfig.name: LTE, CLITConfig.name: CLIT}
