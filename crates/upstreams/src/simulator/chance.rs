//! Random that repeats itself: the same words give the same number, on every machine, for ever.
//!
//! Not here: randomness for secrets. Written out because `std`'s hashers promise no stability.

/// A number drawn from a seed and words: FNV-1a over the bytes, stirred by splitmix64's finaliser.
pub(super) fn draw(seed: u64, words: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ stirred(seed);
    for word in words {
        for byte in *word {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // So that ("ab", "c") and ("a", "bc") differ.
        hash = stirred(hash);
    }
    stirred(hash)
}

const fn stirred(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
