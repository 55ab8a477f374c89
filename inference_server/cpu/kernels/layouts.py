"""The kinds of weights that kernels read: plain ones, GGUF's blocks, and those of `checkpoint_blocks`."""

BFLOAT16, FLOAT16, FLOAT32 = range(3)
Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K = range(3, 11)
U4, U8, I8, NF4, FP4 = range(11, 16)
BYTES = {BFLOAT16: 2, FLOAT16: 2, FLOAT32: 4}
"""Of a plain weight."""
LAYOUTS = {
    Q4_0: (32, 18),
    Q4_1: (32, 20),
    Q5_0: (32, 22),
    Q5_1: (32, 24),
    Q8_0: (32, 34),
    Q4_K: (256, 144),
    Q5_K: (256, 176),
    Q6_K: (256, 210),
    U4: (32, 20),
    U8: (32, 36),
    I8: (32, 36),
    NF4: (32, 20),
    FP4: (32, 20),
}
"""Weights and bytes per block."""
SHARES = {**dict.fromkeys(LAYOUTS, 32), Q6_K: 16, **dict.fromkeys((Q8_0, I8, NF4, FP4), 0)}
"""Weights that share a scale and an offset; 0: there is no offset."""
KINDS = (*BYTES, *LAYOUTS)
