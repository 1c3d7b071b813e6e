use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn a_bad_row_names_object_and_line_and_the_next_is_read() {
    let told = read("a.jsonl", b"{\"a\":1}\n{\"a\":\n\xff\n\n[2]\n", Wanted::Row);
    assert_eq!(
        told.rows.iter().map(|row| (row.number, row.value.clone())).collect::<Vec<_>>(),
        [(1, json!({"a": 1})), (5, json!([2]))]
    );
    let messages: Vec<String> = told.bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        ["a.jsonl:2: not JSON: EOF while parsing a value at column 5", "a.jsonl:3: not UTF-8 at byte 0 of the row"]
    );
    assert_eq!(told.fault, None);
}

#[test]
fn a_field_is_a_string_or_its_row_is_bad() {
    let lines = b"{\"x\":[1,{\"p\":0}],\"p\":\"a\\u00e9\"}\n{\"q\":\"\"}\n{\"p\":null}\n\"p\"\n{\"p\":\"a\"} x\n{\"p\":1,\"p\":\"last\"}\n{\"\\u0070\":\"escaped\"}\n";
    let told = read("a.jsonl", lines, field("p"));
    assert_eq!(told.rows.iter().map(|row| row.value.as_str().unwrap()).collect::<Vec<_>>(), ["a\u{e9}", "last", "escaped"]);
    let messages: Vec<String> = told.bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "a.jsonl:2: no field `p`",
            "a.jsonl:3: field `p` is null, not a string",
            "a.jsonl:4: a JSON object was expected, with a field `p`",
            "a.jsonl:5: not JSON: trailing characters at column 11",
        ]
    );
}

#[test]
fn blank_lines_carriage_returns_and_a_byte_order_mark_are_no_content() {
    let told = read("a.txt", "\u{feff}one\r\n\n  \n\u{feff}two\r".as_bytes(), Wanted::Row);
    let rows: Vec<(u64, &str)> = told.rows.iter().map(|row| (row.number, row.value.as_str().unwrap())).collect();
    assert_eq!(rows, [(1, "one"), (4, "\u{feff}two")]);
    assert!(read("a.txt", "\u{feff}".as_bytes(), Wanted::Row).rows.is_empty());
    assert_eq!(read("a.txt", b"", Wanted::Row), Told { rows: vec![], bad: vec![], fault: None });
}

#[test]
fn a_line_over_the_limit_is_one_bad_row() {
    let mut lines = b"\"a\"\n\"".to_vec();
    lines.resize(lines.len() + LONGEST_ROW - 2, b'x');
    lines.extend_from_slice(b"\"\r\n\"");
    lines.resize(lines.len() + LONGEST_ROW - 1, b'x');
    lines.extend_from_slice(b"\"\n\"b\"");
    let told = read("a.jsonl", &lines, Wanted::Row);
    assert_eq!(told.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(told.bad.iter().map(|bad| (bad.number, bad.wrong.clone())).collect::<Vec<_>>(), [(3, Wrong::TooLong)]);
    assert_eq!(told.fault, None);
}

#[test]
fn an_object_of_another_size_than_was_listed_is_an_error() {
    let (mut object, source) = object("a.txt", b"one\ntwo\n");
    object.size = 9;
    let cut = told(&object, &source, &options("a.txt", Wanted::Row));
    assert_eq!(cut.rows.len(), 2);
    assert!(cut.fault.unwrap().starts_with("a.txt:3: ends after 8 of 9 bytes"));
    object.size = 7;
    let grown = told(&object, &source, &options("a.txt", Wanted::Row)).fault.unwrap();
    assert!(grown.contains("has more than the 7 bytes"), "{grown}");
}

#[test]
fn rows_may_be_read_on_another_thread() {
    let (object, source) = object("a.txt", b"one\n");
    let rows = Rows::open(&object, &source, &options("a.txt", Wanted::Row)).unwrap();
    assert_eq!(std::thread::spawn(move || rows.count()).join().unwrap(), 1);
}

#[test]
fn text_has_no_fields() {
    let fault = read("a.txt", b"one\n", field("prompt")).fault.unwrap();
    assert!(fault.contains("without fields"), "{fault}");
}

#[test]
fn a_position_beyond_the_end_is_an_error() {
    let (object, source) = object("a.txt", b"one\n");
    let mut options = options("a.txt", Wanted::Row);
    options.from = Some(Position { number: 3, place: Place::Stream { frame: 9, base: 9, offset: 9 } });
    let fault = told(&object, &source, &options).fault.unwrap();
    assert!(fault.contains("the object ends before it"), "{fault}");
    options.from = Some(Position { number: 3, place: Place::Group { group: 0, row: 3 } });
    let fault = told(&object, &source, &options).fault.unwrap();
    assert!(fault.contains("one in a Parquet file"), "{fault}");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[pq]|.*", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_field_is_what_the_whole_row_has(rows in prop::collection::vec(json_value(), 0..8)) {
        let lines: String = rows.iter().flat_map(|row| [row.to_string(), "\n".to_owned()]).collect();
        let expected: Vec<&str> = rows.iter().filter_map(|row| row.as_object()?.get("p")?.as_str()).collect();
        let told = read("a.jsonl", lines.as_bytes(), field("p"));
        prop_assert_eq!(told.rows.iter().map(|row| row.value.as_str().unwrap()).collect::<Vec<_>>(), expected);
        prop_assert_eq!(told.rows.len() + told.bad.len(), rows.len());
        prop_assert_eq!(values("a.jsonl", lines.as_bytes(), Wanted::Row), rows);
    }

    #[test]
    fn reading_goes_on_from_any_row(lines in prop::collection::vec("[a\"\\{1\u{e9}\r ]{0,6}", 0..12)) {
        let bytes = lines.join("\n").into_bytes();
        goes_on_from_anywhere("a.jsonl", &bytes, &Wanted::Row);
        goes_on_from_anywhere("a.txt", &bytes, &Wanted::Row);
    }

    #[test]
    fn rows_do_not_depend_on_how_bytes_come(lines in prop::collection::vec("\u{feff}?[ab1\"\r]{0,9}", 0..12), at_once in 1_usize..7, is_ahead: bool) {
        let bytes = lines.join("\n").into_bytes();
        for (name, bytes) in [("a.jsonl", bytes.clone()), ("a.jsonl.gz", gzip(&bytes)), ("a.jsonl.zst", zst(&bytes))] {
            let (object, whole) = object(name, &bytes);
            let drops = Source::Stream(Arc::new(Drops { bytes: bytes.into(), at_once }));
            let mut options = options(name, Wanted::Row);
            let expected = told(&object, &whole, &options);
            options.is_ahead = is_ahead;
            prop_assert_eq!(told(&object, &drops, &options), expected);
        }
    }
}
