"""Compiled kernels: `render` and `survey` for float32 on a CPU, by Numba. The decoders' `query` says what they compute.

`tile` (the matrix product) and `functions` (exp, GELU, sine) -> `mlp` -> `attention` (a stage of LIT and CLIT) and
`ensemble` (LIIF and LTE). clit.networks.arrays has what they read and write. Training has clit.networks.weighing_loops.
"""
