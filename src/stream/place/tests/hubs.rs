//! Datasets of the hub.

use super::server::{Out, Request, Server};
use super::*;

const BODY: &[u8] = b"0123456789abcdef";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const SHA256: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

fn hub(request: &Request, out: &mut Out<'_>) {
    let target = request.target.as_str();
    let tree = format!("/api/datasets/org/name/tree/{COMMIT}/train?recursive=true&expand=false");
    if target == "/api/datasets/org/name/revision/refs%2Fpr%2F1" || target == "/api/datasets/org/name/revision/main" {
        out.answer("200 OK", &[], format!(r#"{{"sha": "{COMMIT}", "private": false}}"#).as_bytes());
    } else if target == tree {
        let next = format!("<http://{}{tree}&cursor=2>; rel=\"next\"", request.headers["host"]);
        let page = r#"[{"type": "directory", "oid": "d", "size": 0, "path": "train/deep"},
            {"type": "file", "oid": "b", "size": 3, "path": "train/_x.jsonl"},
            {"type": "file", "oid": "c", "size": 16, "path": "train/b c.jsonl"}]"#;
        out.answer("200 OK", &[("Link", &next)], page.as_bytes());
    } else if target == format!("{tree}&cursor=2") {
        let page = format!(
            r#"[{{"type": "file", "oid": "p", "size": 130, "path": "train/a.parquet", "lfs": {{"oid": "{SHA256}", "size": 16, "pointerSize": 130}}}}]"#
        );
        out.answer("200 OK", &[], page.as_bytes());
    } else {
        out.answer("404 Not Found", &[], br#"{"error": "Repository not found"}"#);
    }
}

fn places_of(server: &Server) -> Places {
    places_with(patience(), &[("HF_ENDPOINT", &server.url()), ("HF_TOKEN", "hf_hush")])
}

#[test]
fn a_dataset_is_listed_at_one_commit_over_all_pages() {
    let server = Server::start(hub);
    let listing = places_of(&server).list(&[Uri::parse("hf://datasets/org/name@refs/pr/1/train/*").unwrap()]).unwrap();
    let objects: Vec<(String, u64, &str)> =
        listing.objects().iter().map(|object| (object.uri.clone(), object.size, object.tag.as_str())).collect();
    let uri = |path: &str| format!("hf://datasets/org/name@{COMMIT}/train/{path}");
    assert_eq!(objects, [(uri("a.parquet"), 16, SHA256), (uri("b c.jsonl"), 16, "c")]);
    assert_eq!(listing.passed_over().first, [uri("_x.jsonl")]);
    assert_eq!(server.requests().len(), 3);
    assert!(server.requests().iter().all(|request| request.headers["authorization"] == "Bearer hf_hush"));
}

#[test]
fn a_file_is_read_in_parts_from_where_the_hub_sends_to_and_the_token_goes_nowhere_else() {
    let store = Server::start(|request, out| out.file(request, BODY, "\"of the store\""));
    let to = format!("{}/signed?X-Amz-Signature=hush", store.url());
    let server = Server::start(move |request, out| {
        if request.target.contains("/resolve/") {
            let etag = format!("\"{SHA256}\"");
            let headers = [("Location", to.as_str()), ("X-Repo-Commit", COMMIT), ("X-Linked-Etag", etag.as_str())];
            out.answer("302 Found", &headers, b"");
        } else {
            hub(request, out);
        }
    });
    let places = places_of(&server);
    let object = one(&places, "hf://datasets/org/name/train/*.parquet");
    assert_eq!(places.read(&object, 4..8).unwrap(), "4567");
    let asked = store.requests();
    assert!(!asked[0].headers.contains_key("authorization"));
    assert!(server.requests().iter().all(|request| request.headers.contains_key("authorization")));
    assert_eq!(server.requests().last().unwrap().target, format!("/datasets/org/name/resolve/{COMMIT}/train/a.parquet"));
    let other = Object { tag: SHA256.replace('5', "6"), ..object };
    assert_eq!(code_of(places.read(&other, 4..8)), "changed");
}

#[test]
fn another_commit_or_length_is_an_error() {
    for (commit, body, code) in [("f", BODY, "changed"), (COMMIT, b"short".as_slice(), "changed"), (COMMIT, BODY, "none")] {
        let server = Server::start(move |request, out| {
            let (start, end) = request.range().unwrap();
            let part = format!("bytes {start}-{}/{}", end - 1, body.len());
            out.answer("206 Partial Content", &[("X-Repo-Commit", commit), ("Content-Range", &part)], &body[start..end]);
        });
        let object = Object { uri: format!("hf://datasets/org/name@{COMMIT}/b c.jsonl"), size: 16, tag: "c".to_owned() };
        let read = places_of(&server).read(&object, 1..4);
        assert_eq!(read.err().map_or("none", |error| error.code()), code);
        assert!(server.requests()[0].target.ends_with("/b%20c.jsonl"));
    }
}

#[test]
fn what_is_not_there_or_may_not_be_asked_is_told() {
    let server = Server::start(hub);
    let places = places_of(&server);
    let error = list(&places, &["hf://datasets/org/other/*"]).unwrap_err().to_string();
    assert!(error.contains("refused with status 404"), "{error}");
    for glob in ["hf://datasets/org/name/train/*.csv", "hf://datasets/org/name/nothing/*"] {
        assert!(list(&places, &[glob]).unwrap_err().to_string().contains("matches nothing"));
    }
    let offline = places_with(patience(), &[("HF_ENDPOINT", &server.url()), ("HF_HUB_OFFLINE", "1")]);
    assert!(list(&offline, &["hf://datasets/org/name/*"]).unwrap_err().to_string().contains("HF_HUB_OFFLINE says"));
}

#[test]
fn a_listing_that_leads_to_another_server_is_refused() {
    let other = Server::start(|_, _| {});
    let next = format!("<{}/x>; rel=\"next\"", other.url());
    let server = Server::start(move |request, out| match request.nth {
        0 => hub(request, out),
        _ => out.answer("200 OK", &[("Link", &next)], b"[]"),
    });
    let error = list(&places_of(&server), &["hf://datasets/org/name/*"]).unwrap_err().to_string();
    assert!(error.contains("on another server"), "{error}");
    assert!(other.requests().is_empty());
}
