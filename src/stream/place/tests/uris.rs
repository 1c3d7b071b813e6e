//! What is read as a uri, and what is refused.

use std::path::Path;

use crate::stream::place::uri::{Cloud, Written};
use crate::stream::place::{Uri, UriError};

fn refusal(text: &str) -> String {
    Uri::parse(text).unwrap_err().to_string()
}

#[test]
fn paths_and_globs_are_local() {
    for text in [
        "data/extra/*.parquet",
        "a",
        "./a",
        "../a/**",
        "/abs/x.jsonl",
        "file:///abs/%20x*.jsonl",
        "FILE://localhost/x",
        "s3:x",
        "ü/日本.txt",
    ] {
        assert!(Uri::parse(text).unwrap().is_local(), "{text}");
    }
    let Written::Local(local) = Uri::parse("file:///a%20b/./c//*.x").unwrap().place else { panic!("local") };
    assert!(local.is_absolute);
    assert_eq!(local.alternatives[0].prefix(), "a b/c/");
}

#[test]
fn a_relative_path_may_start_at_another_folder_whose_name_is_no_glob() {
    let below = |text: &str, folder: &str| match Uri::parse(text).unwrap().below(Path::new(folder)).unwrap().place {
        Written::Local(local) => (local.is_absolute, local.alternatives[0].literal().unwrap()),
        _ => panic!("local"),
    };
    assert_eq!(below("a.txt", "/suites[1]/x"), (true, "suites[1]/x/a.txt".to_owned()));
    assert_eq!(below("../a.txt", "suites"), (false, "suites/../a.txt".to_owned()));
    assert_eq!(below("/a.txt", "suites"), (true, "a.txt".to_owned()));
    assert_eq!(below("a.txt", ""), (false, "a.txt".to_owned()));
}

#[test]
fn stores_are_told_apart() {
    for (text, cloud, bucket) in [
        ("s3://bucket/logs/2026-*/*.jsonl.zst", Cloud::S3, "s3://bucket"),
        ("gs://b_1.x/key", Cloud::Google, "gs://b_1.x"),
        ("az://container/**", Cloud::Azure, "az://container"),
        ("abfss://c@account.dfs.core.windows.net/x", Cloud::Azure, "abfss://c@account.dfs.core.windows.net"),
    ] {
        let Written::Store(store) = Uri::parse(text).unwrap().place else { panic!("{text}") };
        assert_eq!((store.bucket.cloud, store.bucket.to_string()), (cloud, bucket.to_owned()));
    }
}

#[test]
fn datasets_of_the_hub_have_a_revision() {
    for (text, dataset, revision) in [
        ("hf://datasets/org/name/train/*.parquet", "org/name", "main"),
        ("hf://datasets/org/name@v1.0/x", "org/name", "v1.0"),
        ("hf://datasets/org/name@refs/convert/parquet/x", "org/name", "refs/convert/parquet"),
        ("hf://datasets/org/name@refs%2Fpr%2F7/x", "org/name", "refs/pr/7"),
    ] {
        let uri = Uri::parse(text).unwrap();
        let hub = uri.hub().unwrap();
        assert_eq!((hub.dataset.as_str(), hub.revision.as_str()), (dataset, revision), "{text}");
    }
    for text in [
        "hf://org/name/x",
        "hf://datasets/org",
        "hf://datasets/org/name",
        "hf://datasets/org/name@/x",
        "hf://datasets/../name/x",
        "hf://datasets/org/name@../x",
        "hf://datasets/org/name/",
    ] {
        assert!(refusal(text).contains("hint: hf://datasets/"), "{text}");
    }
}

#[test]
fn what_can_not_be_read_is_refused_by_name_with_a_hint() {
    assert_eq!(Uri::parse("").unwrap_err(), UriError::Empty);
    for (text, words) in [
        ("ftp://host/x", "`ftp://` can't be read\nhint: a path"),
        ("s3a://b/x", "hint: write s3://"),
        ("gcs://b/x", "hint: write gs://"),
        ("https://host/*.jsonl", "`*`, which is no glob there\nhint: a web server lists no files"),
        ("https://host/a?b=1", "may be a key"),
        ("https://host/a#b", "may be a key"),
        ("https://host/", "names no file"),
        ("https:///x/", "can't be read"),
        ("s3://bucket", "names no objects"),
        ("s3://bucket/folder/", "names no objects"),
        ("s3:///key", "names no bucket"),
        ("s3://bu*et/key", "names no bucket"),
        ("data/", "it is a folder\nhint: name its files"),
        ("/", "it is a folder"),
        (".", "it is a folder"),
        (" a", "begins or ends with a blank"),
        ("a\nb", "control character"),
        ("file:///a%0ab", "control character"),
        ("file://host/x", "names a machine"),
        ("file:///%ff", "not UTF-8"),
        ("a[b", "is not closed"),
    ] {
        let told = refusal(text);
        assert!(told.contains(words), "{text}: {told}");
    }
}

#[test]
fn a_key_in_a_url_is_refused_and_not_repeated() {
    for text in [
        "https://me:hush@host/x",
        "https://hush@host/x",
        "s3://AKIA:hush@bucket/x",
        "gs://hush@bucket/x",
        "hf://hush@datasets/org/name/x",
        "abfs://c:hush@account.dfs.core.windows.net/x",
        "ftp://me:hush@host/x",
        "az://container/x?sv=1&sig=hush",
        "https://host/x?X-Amz-Signature=hush",
        "https://host/x?access_token=hush",
        "s3://b/x?AWSAccessKeyId=hush",
    ] {
        let told = refusal(text);
        assert!(told.contains("a password or key in it") && !told.contains("hush"), "{text}: {told}");
        assert!(!format!("{:?}", Uri::parse(text)).contains("hush"), "{text}");
    }
}
