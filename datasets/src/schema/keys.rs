use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;

/// The keys seen so far, as 128-bit hashes: 16 bytes and some room for growth, 20 to 40 bytes a
/// key in all. Two different keys of 100 million share a hash with a probability below 10^-22.
#[derive(Debug)]
pub(super) struct KeySet {
    // Shards grow one after the other, so that a growing set never holds two copies of itself.
    shards: Vec<HashSet<u128, BuildHasherDefault<First64>>>,
    n_keys: usize,
}

const N_SHARDS: usize = 64;

impl KeySet {
    pub fn new() -> Self {
        Self { shards: vec![HashSet::default(); N_SHARDS], n_keys: 0 }
    }

    pub fn len(&self) -> usize {
        self.n_keys
    }

    /// Whether the key is new.
    pub fn insert(&mut self, key: u128) -> bool {
        let is_new = self.shards[(key >> 122) as usize % N_SHARDS].insert(key);
        self.n_keys += usize::from(is_new);
        is_new
    }
}

/// Hash of each row's values in the columns of the key. A null is a value like any other.
pub(super) fn hash_rows(rows: &RecordBatch, columns: &[usize]) -> Vec<u128> {
    let mut hashers: Vec<(DefaultHasher, DefaultHasher)> = (0..rows.num_rows())
        .map(|_| {
            let mut second = DefaultHasher::new();
            second.write_u8(1);
            (DefaultHasher::new(), second)
        })
        .collect();
    for column in columns {
        hash_column(rows.column(*column), &mut hashers);
    }
    hashers.into_iter().map(|(a, b)| u128::from(a.finish()) << 64 | u128::from(b.finish())).collect()
}

fn hash_column(column: &ArrayRef, hashers: &mut [(DefaultHasher, DefaultHasher)]) {
    fn each<T: Hash>(
        column: &ArrayRef,
        hashers: &mut [(DefaultHasher, DefaultHasher)],
        value: impl Fn(usize) -> T,
    ) {
        for (row, (a, b)) in hashers.iter_mut().enumerate() {
            let value = column.is_valid(row).then(|| value(row));
            value.hash(a);
            value.hash(b);
        }
    }
    match column.data_type() {
        DataType::Boolean => each(column, hashers, |row| column.as_boolean().value(row)),
        DataType::Int64 => each(column, hashers, |row| column.as_primitive::<Int64Type>().value(row)),
        // 0.0 and -0.0 are one key.
        DataType::Float64 => {
            each(column, hashers, |row| (column.as_primitive::<Float64Type>().value(row) + 0.0).to_bits())
        }
        DataType::Timestamp(..) => {
            each(column, hashers, |row| column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        _ => each(column, hashers, |row| column.as_string::<i32>().value(row)),
    }
}

/// Takes the first half of a key, which is a hash already.
#[derive(Clone, Debug, Default)]
pub(super) struct First64(u64);

impl Hasher for First64 {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}
