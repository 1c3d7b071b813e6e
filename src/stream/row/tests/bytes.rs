//! Any bytes: the readers return.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes: Vec<u8>) {
        fuzz_jsonl(&bytes);
        fuzz_csv(&bytes);
        fuzz_text(&bytes);
        fuzz_gzip(&[&[0x1f, 0x8b, 8, 0][..], &bytes].concat());
        fuzz_zstd(&[&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat());
        fuzz_parquet(&[b"PAR1", &bytes[..], b"PAR1"].concat());
    }
}
