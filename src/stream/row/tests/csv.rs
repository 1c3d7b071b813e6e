use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn quoted_fields_may_hold_line_breaks_separators_and_quotes() {
    let bytes = "\u{feff}id,prompt\r\n1,\"a\r\nb, \"\"c\"\"\"\r\n\r\n2,plain \"quote\r\n".as_bytes();
    let told = read("a.csv", bytes, Wanted::Row);
    let rows: Vec<(u64, Value)> = told.rows.iter().map(|row| (row.number, row.value.clone())).collect();
    assert_eq!(rows, [(2, json!({"id": "1", "prompt": "a\r\nb, \"c\""})), (5, json!({"id": "2", "prompt": "plain \"quote"}))]);
    assert_eq!(values("a.tsv", b"id\tprompt\n1\ta,b\n", field("prompt")), ["a,b"]);
    let columns = Wanted::Fields(vec!["c".to_owned(), "a".to_owned()]);
    assert_eq!(values("a.csv", b"a,b,c\n1,2,3", columns), [json!({"c": "3", "a": "1"})]);
}

#[test]
fn a_record_of_other_fields_is_bad_and_the_next_is_read() {
    let told = read("a.csv", b"a,b\n1\n1,2,3\n\"1\"x,2\n\xff,2\n5,6\n", field("b"));
    assert_eq!(told.rows.iter().map(|row| row.value.as_str().unwrap()).collect::<Vec<_>>(), ["6"]);
    let messages: Vec<String> = told.bad.iter().map(|bad| bad.to_string().lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        messages,
        [
            "a.csv:2: 1 fields, but the header has 2",
            "a.csv:3: 3 fields, but the header has 2",
            "a.csv:4: text between the closing quote of field 1 and its end",
            "a.csv:5: not UTF-8 at byte 0 of the row",
        ]
    );
}

#[test]
fn a_quote_that_never_closes_is_an_error_where_it_opens() {
    let told = read("a.csv", b"a,b\n1,2\n3,\"4\n5,6\n7,8\n", Wanted::Row);
    assert_eq!(told.rows.len(), 1);
    assert!(told.fault.unwrap().starts_with("a.csv:3: a quoted field does not end"));
}

#[test]
fn a_header_is_needed_and_names_each_column_once() {
    for (bytes, message) in [
        (&b""[..], "a.csv: it is empty"),
        (b"a,b,a\n", "a.csv: its header names `a` twice"),
        (b"a,\xff\n", "a.csv: its header can't be used: not UTF-8 at byte 2 of the row"),
        (b"a,b\n1,2\n", "a.csv: no column `prompt`; there are `a`, `b`"),
    ] {
        let fault = read("a.csv", bytes, field("prompt")).fault.unwrap();
        assert!(fault.starts_with(message), "{fault}");
    }
}

#[test]
fn a_record_over_the_limit_is_one_bad_row_however_many_lines_it_has() {
    let mut bytes = b"a\n\"".to_vec();
    while bytes.len() < LONGEST_ROW + 100 {
        bytes.extend_from_slice(b"line\n,\"\"\n");
    }
    bytes.extend_from_slice(b"\"\nnext\n");
    let told = read("a.csv", &bytes, field("a"));
    assert_eq!(told.rows.iter().map(|row| row.value.as_str().unwrap()).collect::<Vec<_>>(), ["next"]);
    assert_eq!(told.bad.iter().map(|bad| (bad.number, bad.wrong.clone())).collect::<Vec<_>>(), [(2, Wrong::TooLong)]);
}

proptest! {
    #[test]
    fn what_the_csv_crate_writes_is_read(rows in prop::collection::vec(prop::collection::vec("[a,\"\r\n\u{e9} ]{0,6}", 3), 0..8), at_once in 1_usize..9) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["x", "y", "z"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let expected: Vec<Value> = rows.iter().map(|row| json!({"x": row[0], "y": row[1], "z": row[2]})).collect();
        prop_assert_eq!(values("a.csv", &bytes, Wanted::Row), expected);
        goes_on_from_anywhere("a.csv", &bytes, &field("y"));
        goes_on_from_anywhere("a.csv.gz", &gzip(&bytes), &field("y"));
        let (object, whole) = object("a.csv", &bytes);
        let drops = Source::Stream(Arc::new(Drops { bytes: bytes.into(), at_once }));
        let options = options("a.csv", Wanted::Row);
        prop_assert_eq!(told(&object, &drops, &options), told(&object, &whole, &options));
    }

    #[test]
    fn what_is_not_bad_is_read_as_the_csv_crate_reads_it(
        rows in prop::collection::vec(("[a\" ]{0,3}|\"(a|,|\r\n|\n|\"\"){0,4}\"", "[a\" ]{0,3}|\"(a|,|\r\n|\n|\"\"){0,4}\"", "\r?\n"), 0..8),
    ) {
        let bytes = rows.iter().fold("a,b\n".to_owned(), |bytes, (a, b, end)| format!("{bytes}{a},{b}{end}"));
        let told = read("a.csv", bytes.as_bytes(), Wanted::Row);
        // That crate is lenient with quotes, and takes a carriage return alone for the end of a record.
        prop_assume!(told.bad.is_empty() && told.fault.is_none());
        let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(bytes.as_bytes());
        let expected: Vec<Value> = reader.records().map(|row| { let row = row.unwrap(); json!({"a": row[0], "b": row[1]}) }).collect();
        prop_assert_eq!(told.rows.into_iter().map(|row| row.value).collect::<Vec<_>>(), expected);
    }
}
