"""Encoders: image -> features at the same resolution.

Each has `channels`, the `multiple` that its input's sides must be of, and its `reach`: the distance in pixels up to
which a feature depends on the image, None for the whole image. `drops_spare` tells whether it takes, beside the image,
how many pixels at each side no features are wanted of.
"""

from clit.config import EDSRConfig, NoEncoderConfig, RDNConfig, SwinIRConfig
from clit.networks.encoders.edsr import EDSR
from clit.networks.encoders.none import NoEncoder
from clit.networks.encoders.rdn import RDN
from clit.networks.encoders.swinir import SwinIR

ENCODERS = {NoEncoderConfig.name: NoEncoder, EDSRConfig.name: EDSR, RDNConfig.name: RDN, SwinIRConfig.name: SwinIR}
