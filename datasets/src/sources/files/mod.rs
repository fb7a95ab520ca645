//! Files as a source: CSV, JSON lines and Parquet, plain or packed, one, a folder or a glob.
//!
//! Text is read through a window of bounded size, so memory does not depend on the length of a
//! line. In the order of the bytes: `locate` (which files) → `unpack` → `decode` → `window` →
//! `csv` or `jsonl` → `chunk`.

mod source;

mod locate;

mod zip_entry;

mod unpack;

mod decode;

mod window;

mod csv;

mod csv_file;

mod jsonl_file;

mod parquet_file;

mod chunk;

pub use source::FilesSource;
