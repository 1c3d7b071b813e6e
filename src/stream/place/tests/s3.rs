//! S3, as a server speaks it that others wrote.

use std::fs;
use std::path::Path;

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::runtime::Runtime;

use super::*;

const KEY: &str = "AKIAEXAMPLEKEY";
const SECRET: &str = "hush-hush-secret";

/// A server whose buckets are folders.
struct Cloud {
    dir: tempfile::TempDir,
    endpoint: String,
    _runtime: Runtime,
}

impl Cloud {
    fn of(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bucket")).unwrap();
        for (key, bytes) in files {
            write(dir.path(), key, bytes);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(serving);
            }
        });
        Self { dir, endpoint, _runtime: runtime }
    }

    fn write(&self, key: &str, bytes: &[u8]) {
        write(self.dir.path(), key, bytes);
    }

    fn places(&self, secret: &str) -> Places {
        places_with(
            patience(),
            &[
                ("AWS_ENDPOINT_URL", &self.endpoint),
                ("AWS_ALLOW_HTTP", "true"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", KEY),
                ("AWS_SECRET_ACCESS_KEY", secret),
            ],
        )
    }
}

fn write(root: &Path, key: &str, bytes: &[u8]) {
    let path = root.join("bucket").join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn uris(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.uri.strip_prefix("s3://bucket/").unwrap()).collect()
}

#[test]
fn a_bucket_is_listed_by_a_glob_and_read_in_parts() {
    let cloud = Cloud::of(&[
        ("logs/2026-01/b.jsonl", b"0123456789"),
        ("logs/2026-02/a.jsonl", b"abc"),
        ("logs/2026-02/a.txt", b"x"),
        ("logs/2025-12/c.jsonl", b"x"),
        ("logs/2026-02/_SUCCESS", b""),
        ("other/d.jsonl", b"x"),
    ]);
    let places = cloud.places(SECRET);
    let objects = list(&places, &["s3://bucket/logs/2026-*/*.jsonl"]).unwrap();
    assert_eq!(uris(&objects), ["logs/2026-01/b.jsonl", "logs/2026-02/a.jsonl"]);
    assert_eq!(uris(&list(&places, &["s3://bucket/**/*.jsonl"]).unwrap()).len(), 4);
    assert_eq!(list(&places, &["s3://bucket/logs/2026-01/b.jsonl"]).unwrap(), objects[..1], "the same by its name alone");
    for range in [0..10, 3..7, 9..10] {
        assert_eq!(places.read(&objects[0], range.clone()).unwrap(), b"0123456789"[range.start as usize..range.end as usize]);
    }
    assert_eq!(code_of(places.read(&objects[0], 5..11)), "out_of_range");
}

#[test]
fn odd_keys_are_keys() {
    let keys = ["ü/日本 語.txt", "a b.txt", "q#%20+&=.txt", "x[1].txt", "back\\slash.txt", "~t.txt", "{y}.txt"];
    let files: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, key.as_bytes())).collect();
    let cloud = Cloud::of(&files);
    let places = cloud.places(SECRET);
    let objects = list(&places, &["s3://bucket/**"]).unwrap();
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    assert_eq!(uris(&objects), sorted);
    for object in &objects {
        let text = places.read(object, 0..object.size).unwrap();
        assert_eq!(object.uri.strip_prefix("s3://bucket/").unwrap().as_bytes(), text);
    }
    assert_eq!(uris(&list(&places, &["s3://bucket/x[[]1].txt"]).unwrap()), ["x[1].txt"]);
    assert_eq!(uris(&list(&places, &["s3://bucket/q#%20+&=.txt"]).unwrap()), ["q#%20+&=.txt"]);
}

#[test]
fn a_listing_of_many_pages_is_whole() {
    let names: Vec<String> = (0..2300).map(|nth| format!("n/{nth:05}.txt")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"x".as_slice())).collect();
    let cloud = Cloud::of(&files);
    let objects = list(&cloud.places(SECRET), &["s3://bucket/n/*.txt"]).unwrap();
    assert_eq!(uris(&objects), names);
}

#[test]
fn an_object_that_is_written_over_is_an_error_and_not_a_mixture() {
    let cloud = Cloud::of(&[("a.jsonl", b"0123456789")]);
    let places = cloud.places(SECRET);
    let object = one(&places, "s3://bucket/a.jsonl");
    assert_eq!(places.read(&object, 0..5).unwrap(), "01234");
    cloud.write("a.jsonl", b"9876543210");
    assert_eq!(code_of(places.read(&object, 5..10)), "changed");
    cloud.write("a.jsonl", b"0123456789 and more");
    assert_eq!(code_of(places.read(&object, 5..10)), "changed");
    fs::remove_file(cloud.dir.path().join("bucket/a.jsonl")).unwrap();
    assert_eq!(code_of(places.read(&object, 5..10)), "refused");
}

#[test]
fn what_is_not_there_is_told() {
    let cloud = Cloud::of(&[("a.jsonl", b"x")]);
    let places = cloud.places(SECRET);
    for uri in ["s3://bucket/*.parquet", "s3://bucket/b.jsonl"] {
        assert!(list(&places, &[uri]).unwrap_err().to_string().starts_with(&format!("`{uri}` matches nothing\nhint: ")));
    }
    let error = list(&places, &["s3://nobucket/*"]).unwrap_err().to_string();
    assert!(error.contains("refused with status 404: NoSuchBucket"), "{error}");
}

#[test]
fn a_wrong_key_is_told_and_not_shown() {
    let cloud = Cloud::of(&[("a.jsonl", b"x")]);
    let places = cloud.places("wrong-hush-secret");
    let error = list(&places, &["s3://bucket/*"]).unwrap_err().to_string();
    assert!(error.contains("status 403: SignatureDoesNotMatch") && error.contains("hint: check the keys"), "{error}");
    assert!(!format!("{error} {places:?}").contains("hush"), "{error} {places:?}");
    assert!(!error.contains(KEY));
}

#[test]
fn an_endpoint_without_encryption_must_be_allowed() {
    let places = places_with(patience(), &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_SKIP_SIGNATURE", "true")]);
    let error = list(&places, &["s3://bucket/*"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "listing `s3://bucket/*`: AWS_ENDPOINT_URL is not encrypted\nhint: set AWS_ALLOW_HTTP=true where keys and data may go unencrypted"
    );
}
