"""Training on one GPU: steps of fixed shapes, recorded once and replayed, over a frozen encoder.

`python -m clit train-decoders` trains. A step asks the same questions as one of `clit.training.run`, of many more
pixels: every crop has a scale of its own, and processes beside the GPU cut the crops.
"""
