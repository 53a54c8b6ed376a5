//! Reproducible pseudo-random numbers: the same input gives the same number on every machine.
//!
//! Not here: randomness for secrets. Not std's hashers: their results may change with a new Rust.

/// A number from a seed and some parts: FNV-1a over the bytes, then splitmix64's finaliser.
pub(super) fn random(seed: u64, parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ mixed(seed);
    for part in parts {
        for byte in *part {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // So that ("ab", "c") and ("a", "bc") differ.
        hash = mixed(hash);
    }
    mixed(hash)
}

const fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
