"""Encoders: image -> features at the same resolution. Each declares the size `multiple` it needs."""

from clit.config import EDSRConfig, RDNConfig, SwinIRConfig
from clit.networks.encoders.edsr import EDSR
from clit.networks.encoders.rdn import RDN
from clit.networks.encoders.swinir import SwinIR

ENCODERS = {EDSRConfig.name: EDSR, RDNConfig.name: RDN, SwinIRConfig.name: SwinIR}
