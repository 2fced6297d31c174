"""Encoders: image -> features at the same resolution. Each declares the size `multiple` it needs and its `reach`."""

from clit.config import EDSRConfig, NoEncoderConfig, RDNConfig, SwinIRConfig
from clit.networks.encoders.edsr import EDSR
from clit.networks.encoders.none import NoEncoder
from clit.networks.encoders.rdn import RDN
from clit.networks.encoders.swinir import SwinIR

ENCODERS = {NoEncoderConfig.name: NoEncoder, EDSRConfig.name: EDSR, RDNConfig.name: RDN, SwinIRConfig.name: SwinIR}
