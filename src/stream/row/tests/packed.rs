use proptest::prelude::*;
use zstd::zstd_safe::CParameter;

use super::*;

fn numbered(lines: std::ops::Range<u32>) -> Vec<u8> {
    lines.flat_map(|line| [line.to_string(), "\n".to_owned()]).collect::<String>().into_bytes()
}

#[test]
fn members_and_frames_follow_each_other() {
    for (name, pack) in [("a.jsonl.gz", gzip as fn(&[u8]) -> Vec<u8>), ("a.jsonl.zst", zst)] {
        let parts = [pack(&numbered(0..3)), pack(b""), pack(&numbered(3..4)[..1]), pack(b"\n"), pack(&numbered(4..6))];
        let bytes = parts.concat();
        assert_eq!(values(name, &bytes, Wanted::Row), (0..6).map(Value::from).collect::<Vec<_>>());
        goes_on_from_anywhere(name, &bytes, &Wanted::Row);
        let Place::Stream { frame, base, offset } = read(name, &bytes, Wanted::Row).rows[4].position.place else {
            panic!("a place in a stream");
        };
        // The last part but one ends the fourth row: reading goes on in the last part.
        assert_eq!((frame as usize, base, offset), (bytes.len() - parts[4].len(), 8, 10));
    }
}

#[test]
fn zeros_behind_gzip_are_padding_and_other_bytes_are_not() {
    let mut bytes = gzip(&numbered(0..3));
    bytes.extend_from_slice(&[0; 512]);
    assert_eq!(values("a.jsonl.gz", &bytes, Wanted::Row).len(), 3);
    bytes.push(b'x');
    let fault = read("a.jsonl.gz", &bytes, Wanted::Row).fault.unwrap();
    assert!(fault.contains("after a member come bytes that are no gzip"), "{fault}");
    let mut bytes = zst(&numbered(0..3));
    bytes.extend_from_slice(b"rest");
    let fault = read("a.jsonl.zst", &bytes, Wanted::Row).fault.unwrap();
    assert!(fault.contains("broken zstd"), "{fault}");
}

#[test]
fn packed_bytes_under_a_plain_name_are_read_and_plain_ones_under_a_packed_name_are_refused() {
    for packed in [gzip(&numbered(0..3)), zst(&numbered(0..3))] {
        assert_eq!(values("a.jsonl", &packed, Wanted::Row).len(), 3);
    }
    let refused = [
        ("a.jsonl.gz", numbered(0..3), "does not begin as gzip does"),
        ("a.jsonl.zst", vec![], "does not begin as zstd does"),
        ("a.jsonl.zst", gzip(b"1"), "named as zstd, but it is gzip"),
        ("a.csv", b"PAR1....".to_vec(), "it is Parquet, which is not what its name says\nhint: name it `.parquet`"),
        ("a.txt", b"\xff\xfea\0".to_vec(), "UTF-16"),
        ("a.parquet", numbered(0..3), "does not begin as Parquet does"),
        ("a.parquet", gzip(b"PAR1"), "it is gzip"),
    ];
    for (name, bytes, message) in refused {
        let fault = read(name, &bytes, Wanted::Row).fault.unwrap();
        assert!(fault.contains(message), "{fault}");
    }
}

#[test]
fn names_tell_formats() {
    let told = |name: &str| Format::told_by(name).map(|format| (format.layout, format.compression));
    assert_eq!(told("s3://b/x.JSONL.zst"), Some((Layout::Jsonl, Some(Compression::Zstd))));
    assert_eq!(told("https://h/x.csv.gz?sig=a/b.parquet"), Some((Layout::Csv(b','), Some(Compression::Gzip))));
    assert_eq!(told("x/y.tsv"), Some((Layout::Csv(b'\t'), None)));
    assert_eq!(told("what?.txt"), Some((Layout::Text, None)));
    assert_eq!([told("x.parquet.gz"), told("x.json"), told("jsonl"), told("x.jsonl/y")], [None; 4]);
}

#[test]
fn a_bomb_is_refused_long_before_it_is_unpacked() {
    let zeros = vec![0; 1 << 20];
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let told = read("a.jsonl.zst", &bomb, Wanted::Row);
    let fault = told.fault.unwrap();
    let unpacked: u64 = fault.split(' ').find_map(|word| word.parse().ok().filter(|number| *number > 1000)).unwrap();
    assert!(fault.contains("refused as a bomb") && unpacked < 200 << 20, "{fault}");
    assert!(told.rows.is_empty() && told.bad.is_empty());
}

#[test]
fn a_window_that_is_too_large_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.set_parameter(CParameter::WindowLog(28)).unwrap();
    encoder.write_all(&numbered(0..9)).unwrap();
    let fault = read("a.jsonl.zst", &encoder.finish().unwrap(), Wanted::Row).fault.unwrap();
    assert!(fault.contains("its window is larger than 128 MiB"), "{fault}");
}

#[test]
fn a_repetitive_log_is_no_bomb() {
    let line = format!("{{\"prompt\":\"{}\",\"id\":", "the same again ".repeat(30));
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for id in 0..400_000 {
        writeln!(encoder, "{line}{id}}}").unwrap();
    }
    let packed = encoder.finish().unwrap();
    let (object, source) = object("a.jsonl.zst", &packed);
    let mut options = options("a.jsonl.zst", field("prompt"));
    options.is_ahead = true;
    assert_eq!(Rows::open(&object, &source, &options).unwrap().map(Result::unwrap).count(), 400_000);
}

proptest! {
    #[test]
    fn what_was_cut_off_is_an_error_after_rows_that_are_right(cut in 0.0..1.0_f64, flate: bool) {
        let plain = numbered(0..4000);
        let (name, packed) = if flate { ("a.jsonl.gz", gzip(&plain)) } else { ("a.jsonl.zst", zst(&plain)) };
        let told = read(name, &packed[..(packed.len() as f64 * cut) as usize], Wanted::Row);
        prop_assert!(told.fault.is_some());
        for (index, row) in told.rows.iter().enumerate() {
            prop_assert_eq!(&row.value, &Value::from(index));
        }
    }

    #[test]
    fn what_was_damaged_is_an_error_or_makes_no_difference(at in any::<prop::sample::Index>(), bit in 0_u8..8, flate: bool) {
        let plain = numbered(0..400);
        let (name, mut packed) = if flate { ("a.jsonl.gz", gzip(&plain)) } else { ("a.jsonl.zst", zst(&plain)) };
        // Of gzip's header nothing depends on flags for text, time and system.
        let first = if flate { 10 } else { 0 };
        let at = first + at.index(packed.len() - first);
        packed[at] ^= 1 << bit;
        let told = read(name, &packed, Wanted::Row);
        // A few bits are without a meaning, such as those behind the last block.
        let is_same = told.bad.is_empty() && told.rows.iter().map(|row| row.value.clone()).eq((0..400).map(Value::from));
        prop_assert!(told.fault.is_some() || is_same, "byte {} of {}", at, packed.len());
    }

    #[test]
    fn reading_goes_on_from_any_row_of_any_frames(parts in prop::collection::vec("[1\n ]{0,12}", 1..6), flate: bool) {
        let (name, pack) = if flate { ("a.jsonl.gz", gzip as fn(&[u8]) -> Vec<u8>) } else { ("a.jsonl.zst", zst as fn(&[u8]) -> Vec<u8>) };
        let bytes: Vec<u8> = parts.iter().flat_map(|part| pack(part.as_bytes())).collect();
        goes_on_from_anywhere(name, &bytes, &Wanted::Row);
    }
}
