//! Parquet. The files in `golden` and what is in them come from `pyarrow`, by the script beside them.

use std::ops::Range;
use std::sync::Mutex;

use ::parquet::basic::{Compression as Codec, Encoding};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type};
use ::parquet::file::properties::{WriterProperties, WriterVersion};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const FILES: [(&str, &[u8]); 5] = [
    ("v1_snappy.parquet", include_bytes!("golden/v1_snappy.parquet")),
    ("v2_zstd.parquet", include_bytes!("golden/v2_zstd.parquet")),
    ("plain_gzip.parquet", include_bytes!("golden/plain_gzip.parquet")),
    ("brotli.parquet", include_bytes!("golden/brotli.parquet")),
    ("lz4.parquet", include_bytes!("golden/lz4.parquet")),
];

fn golden() -> Vec<Value> {
    include_str!("golden/rows.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_pyarrow_writes_is_read_as_pyarrow_reads_it() {
    let expected = golden();
    for (name, bytes) in FILES {
        let rows = values(name, bytes, Wanted::Row);
        assert_eq!(rows.len(), expected.len(), "{name}");
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "{name}");
        }
    }
}

#[test]
fn reading_goes_on_from_any_row_of_any_group() {
    for (name, bytes) in FILES {
        for wanted in [Wanted::Row, field("prompt")] {
            goes_on_from_anywhere(name, bytes, &wanted);
        }
    }
    let (object, source) = object(FILES[0].0, FILES[0].1);
    let mut rows = Rows::open(&object, &source, &options(FILES[0].0, field("prompt"))).unwrap();
    assert_eq!(rows.position(), Position { number: 0, place: Place::Group { group: 0, row: 0 } });
    let after: Vec<Place> =
        rows.by_ref().map(|row| row.map_or_else(|error| bad(error).position, |row| row.position).place).collect();
    assert_eq!(after[49], Place::Group { group: 0, row: 50 });
    assert_eq!(after[50], Place::Group { group: 1, row: 1 });
}

fn bad(error: RowError) -> BadRow {
    match error {
        RowError::Bad(bad) => bad,
        RowError::Fatal(fault) => panic!("{fault}"),
    }
}

#[test]
fn a_position_of_other_rows_is_an_error() {
    let (object, source) = object(FILES[0].0, FILES[0].1);
    for (number, group, row) in [(51, 0, 51), (3, 0, 2), (80, 4, 0), (0, u64::MAX, 0)] {
        let from = Some(Position { number, place: Place::Group { group, row } });
        let fault = told(&object, &source, &Options { from, ..options(FILES[0].0, Wanted::Row) }).fault.unwrap();
        assert!(fault.contains("can't go on where it was left"), "{fault}");
    }
}

#[test]
fn a_null_where_a_string_is_wanted_is_a_bad_row() {
    let told = read(FILES[0].0, FILES[0].1, field("prompt"));
    assert_eq!(told.rows.len() + told.bad.len(), 80);
    assert_eq!(told.bad[0].to_string(), "v1_snappy.parquet:4: field `prompt` is null, not a string");
    let told = read(FILES[0].0, FILES[0].1, field("int8"));
    assert_eq!((told.rows.len(), told.bad.len()), (0, 80));
}

#[test]
fn a_column_that_is_missing_is_named_with_those_that_there_are() {
    let fault = read(FILES[0].0, FILES[0].1, Wanted::Fields(vec!["chat".to_owned(), "promt".to_owned()])).fault.unwrap();
    assert!(fault.starts_with("v1_snappy.parquet: no column `promt`; there are `prompt`, `int8`, "), "{fault}");
}

/// Notes what is read.
struct Watched(Bytes, Mutex<Vec<Range<u64>>>);

impl ReadAt for Watched {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.1.lock().unwrap().push(range.clone());
        self.0.read_at(range)
    }
}

#[test]
fn only_the_wanted_columns_are_read() {
    let texts: Vec<String> = (0..2000).map(|row| format!("{row:0100}")).collect();
    let bytes = table(&texts, Codec::UNCOMPRESSED, WriterVersion::PARQUET_1_0);
    let watched = Arc::new(Watched(bytes.clone().into(), Mutex::default()));
    let (object, _) = object("a.parquet", &bytes);
    let wanted = Wanted::Fields(vec!["number".to_owned()]);
    let told = told(&object, &Source::Ranges(Arc::clone(&watched) as Arc<dyn ReadAt>), &options("a.parquet", wanted));
    assert_eq!((told.rows.len(), told.fault), (2000, None));
    let read: u64 = watched.1.lock().unwrap().iter().map(|range| range.end - range.start).sum();
    assert!(read < bytes.len() as u64 / 2, "{read} of {}", bytes.len());
}

/// Rows of `text`, an optional string, and `number`, one of 0 to 9; groups of 700 rows.
fn table(texts: &[String], codec: Codec, version: WriterVersion) -> Vec<u8> {
    let schema = Arc::new(parse_message_type("message m { optional binary text (UTF8); required int32 number; }").unwrap());
    let dictionary = version == WriterVersion::PARQUET_1_0;
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_writer_version(version)
        .set_dictionary_enabled(dictionary)
        // The second version's own choice for strings is one that is refused.
        .set_column_encoding("text".into(), ::parquet::basic::Encoding::PLAIN)
        .set_data_page_row_count_limit(150)
        .set_write_batch_size(50);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    for rows in texts.chunks(700) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = rows.iter().map(|text| text.as_str().into()).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&vec![1; rows.len()]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let numbers: Vec<i32> = (0..rows.len() as i32).map(|row| row % 10).collect();
        column.typed::<Int32Type>().write_batch(&numbers, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn what_the_crate_itself_writes_is_read() {
    let texts: Vec<String> = (0..1500).map(|row| format!("text {row}")).collect();
    // Packed pages are those of the golden files: here the crate is without what packs.
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let bytes = table(&texts, Codec::UNCOMPRESSED, version);
        assert_eq!(values("a.parquet", &bytes, field("text")), texts);
        let (object, source) = object("a.parquet", &bytes);
        for row in [0, 149, 150, 699, 700, 1011, 1499, 1500] {
            let place = Place::Group { group: row / 700, row: row % 700 };
            let options = Options { from: Some(Position { number: row, place }), ..options("a.parquet", Wanted::Row) };
            let rest = told(&object, &source, &options);
            assert_eq!((rest.rows.len() as u64, rest.fault), (1500 - row, None));
            assert!(rest.rows.first().is_none_or(|first| first.value["text"] == format!("text {row}")));
        }
    }
}

#[test]
fn what_has_no_form_in_json_is_refused_by_name_or_is_a_bad_row() {
    let write = |schema: &str, write: &dyn Fn(&mut ::parquet::file::writer::SerializedColumnWriter<'_>)| {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        write(&mut column);
        column.close().unwrap();
        group.close().unwrap();
        writer.into_inner().unwrap()
    };
    let binary = |column: &mut ::parquet::file::writer::SerializedColumnWriter<'_>| {
        column.typed::<ByteArrayType>().write_batch(&[b"\xff".to_vec().into(), b"a".to_vec().into()], None, None).unwrap();
    };
    let fault = read("a.parquet", &write("message m { required binary image; }", &binary), Wanted::Row).fault.unwrap();
    assert!(fault.starts_with("a.parquet: column `image`: it is binary, which has no form in JSON"), "{fault}");
    let told = read("a.parquet", &write("message m { required binary text (UTF8); }", &binary), Wanted::Row);
    assert_eq!(told.bad[0].to_string(), "a.parquet:1: column `text`: not UTF-8");
    assert_eq!(told.rows[0].value, json!({"text": "a"}));
    let numbers = write("message m { required double x; }", &|column| {
        column.typed::<DoubleType>().write_batch(&[f64::NAN, 1.5, f64::INFINITY], None, None).unwrap();
    });
    let told = read("a.parquet", &numbers, Wanted::Row);
    assert_eq!(told.bad.iter().map(|bad| bad.number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(told.bad[0].to_string(), "a.parquet:1: column `x`: a number that is not finite");
    assert_eq!(told.rows[0].value, json!({"x": 1.5}));
}

#[test]
fn strings_in_a_delta_encoding_are_refused_by_name() {
    let schema = Arc::new(parse_message_type("message m { required binary text (UTF8); }").unwrap());
    for encoding in [Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY] {
        let properties = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(encoding);
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::clone(&schema), Arc::new(properties.build())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&["a".into()], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        let fault = read("a.parquet", &writer.into_inner().unwrap(), Wanted::Row).fault.unwrap();
        assert!(fault.starts_with("a.parquet:1: broken Parquet: strings in a DELTA encoding"), "{fault}");
    }
}

#[test]
fn a_row_that_a_few_bytes_blow_up_is_one_bad_row() {
    let schema = Arc::new(parse_message_type("message m { repeated binary text (UTF8); }").unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let text: ByteArray = vec![b'x'; 10_000].into();
    // One dictionary entry, a hundred thousand times: a gigabyte.
    let (values, definitions) = (vec![text; 100_001], vec![1; 100_001]);
    let mut repetitions = vec![1; 100_001];
    (repetitions[0], repetitions[100_000]) = (0, 0);
    column.typed::<ByteArrayType>().write_batch(&values, Some(&definitions), Some(&repetitions)).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    let told = read("a.parquet", &bytes, Wanted::Row);
    assert_eq!(told.bad.iter().map(|bad| (bad.number, bad.wrong.clone())).collect::<Vec<_>>(), [(1, Wrong::TooLong)]);
    assert_eq!(told.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [2]);
}

/// Bytes of thrift: a list's header.
fn list(length: u32, kind: u8) -> Vec<u8> {
    let mut bytes = vec![0xf0 | kind];
    let mut left = length;
    while left > 0x7f {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

fn file_of(footer: &[u8]) -> Vec<u8> {
    [b"PAR1", footer, &u32::try_from(footer.len()).unwrap().to_le_bytes(), b"PAR1"].concat()
}

#[test]
fn a_footer_that_claims_more_than_it_has_is_refused_before_it_is_decoded() {
    // A group of one group, a million times: an i32 for the children, and the end.
    let deep = [&[0x29][..], &list(15_000, 12), &[0x55, 0x02, 0x00].repeat(15_000), &[0x00]].concat();
    let fault = read("a.parquet", &file_of(&deep), Wanted::Row).fault.unwrap();
    assert!(fault.contains("groups more than 32 deep"), "{fault}");
    let long = [&[0x29][..], &list(u32::MAX, 12), &[0x00; 64]].concat();
    let fault = read("a.parquet", &file_of(&long), Wanted::Row).fault.unwrap();
    assert!(fault.contains("its footer ends too early"), "{fault}");
    let mut other = file_of(&[0x00]);
    let at = other.len() - 8;
    other[at..at + 4].copy_from_slice(&9000_u32.to_le_bytes());
    let fault = read("a.parquet", &other, Wanted::Row).fault.unwrap();
    assert!(fault.contains("its footer is longer than the file"), "{fault}");
}

#[test]
fn a_file_that_was_cut_off_is_an_error() {
    for (name, bytes) in FILES {
        for cut in [1, 7, 8, 9, bytes.len() / 2, bytes.len() - 4] {
            let told = read(name, &bytes[..bytes.len() - cut], Wanted::Row);
            assert!(told.fault.is_some() && told.rows.is_empty(), "{name} without {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// These have checksums over their pages, but not over page headers and the footer.
    #[test]
    fn damaged_files_are_read_to_an_end(file in 0..FILES.len(), at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = FILES[file].1.to_vec();
        for (at, byte) in at {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let told = read(FILES[file].0, &bytes, Wanted::Row);
        prop_assert!(told.fault.is_some() || told.rows.len() + told.bad.len() == 80);
        fuzz_parquet(&bytes);
    }

    /// What is decoded has no checksum here: the decoders themselves meet the damage.
    #[test]
    fn damaged_pages_are_read_to_an_end(at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), second: bool) {
        let texts: Vec<String> = (0..400).map(|row| format!("text {}", row % 30)).collect();
        let version = if second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
        let mut bytes = table(&texts, Codec::UNCOMPRESSED, version);
        for (at, byte) in at {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let told = read("a.parquet", &bytes, Wanted::Row);
        prop_assert!(told.fault.is_some() || told.rows.len() + told.bad.len() == 400);
    }
}
