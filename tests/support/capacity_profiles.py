"""A profile for tests, which stays when the committed ones are measured again."""

from capacity.profile import Profile

PLAIN = Profile(
    name="plain",
    source="round figures",
    measured=False,
    cores=2,
    threads=2,
    click_ms=((1, 60), (2, 65), (4, 75), (8, 95), (16, 140)),
    prefill_ms=((16, 140), (64, 300), (256, 1100), (512, 2200)),
    score_ms=((16, 160), (64, 400), (256, 1500)),
    prefetch_ms=115,
    cached_ms=0.8,
    spread=(0.95, 1, 1.1),
    server_ms=1.2,
    gateway_ms=1.5,
    wire_ms=0.5,
    token_bytes=40_960,
    logits_bytes=196_608,
    replica_price=0.08,
    gateway_price=0.04,
)
