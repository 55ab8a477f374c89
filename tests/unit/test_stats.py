"""What the server counts of itself."""

from inference_server.stats import KVCacheStats


def test_a_cache_takes_the_bytes_of_its_used_blocks() -> None:
    stats = KVCacheStats(
        hit_tokens=0, evicted_blocks=0, used_blocks=3, blocks=8, block_bytes=512, open_prompts=0, stray_holds=0
    )
    assert stats.bytes == 1536
