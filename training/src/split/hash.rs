/// SplitMix64 of `value` in the stream `seed`: 64 well-mixed bits, the same in every language
/// (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) fn splitmix64(value: u64, seed: u64) -> u64 {
    let mut z = value.wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
