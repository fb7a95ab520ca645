use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Maps a key to `0..n`, evenly and always the same: SipHash-1-3 with a zero key over the salt, a
/// zero byte and the key, scaled to the range by its upper bits.
///
/// Raising the share of the last version at the expense of the one before moves only keys between
/// those two.
pub fn bucket(salt: &str, key: &[u8], n: u64) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(salt.as_bytes());
    hasher.write_u8(0);
    hasher.write(key);
    ((u128::from(hasher.finish()) * u128::from(n)) >> 64) as u64
}
