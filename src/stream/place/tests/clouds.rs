//! Stores whose servers behave oddly.

use super::server::{NOON, Out, Request, Server};
use super::*;

const BODY: &[u8] = b"0123456789abcdef";

const LIST: &str = r#"<?xml version="1.0"?><ListBucketResult><Contents><Key>a.jsonl</Key><LastModified>2026-10-21T12:00:00.000Z</LastModified><ETag>"one"</ETag><Size>16</Size></Contents></ListBucketResult>"#;

/// A bucket of one object, whose listing goes well; what comes after is told.
fn s3(handle: impl Fn(usize, &Request, &mut Out<'_>) + Send + Sync + 'static) -> (Server, Places, Object) {
    let server = Server::start(move |request, out| match request.nth {
        0 => out.answer("200 OK", &[], LIST.as_bytes()),
        nth => handle(nth, request, out),
    });
    let places = s3_places(&server, &[("AWS_SKIP_SIGNATURE", "true")]);
    let object = one(&places, "s3://bucket/*.jsonl");
    (server, places, object)
}

fn s3_places(server: &Server, keys: &[(&str, &str)]) -> Places {
    let url = server.url();
    let variables =
        [&[("AWS_ENDPOINT_URL", url.as_str()), ("AWS_ALLOW_HTTP", "true"), ("AWS_REGION", "eu-west-1")], keys].concat();
    places_with(patience(), &variables)
}

#[test]
fn only_what_a_glob_begins_with_is_listed_and_no_key_is_needed_where_none_is_asked_for() {
    let (server, places, object) = s3(|_, request, out| out.file(request, BODY, "\"one\""));
    assert_eq!((object.uri.as_str(), object.size, object.tag.as_str()), ("s3://bucket/a.jsonl", 16, "\"one\""));
    assert_eq!(places.read(&object, 4..8).unwrap(), "4567");
    let list_again = |glob: &str| {
        let _ = list(&places, &[glob]);
        server.requests().last().unwrap().target.clone()
    };
    assert!(list_again("s3://bucket/logs/2026-*/x?").ends_with("prefix=logs%2F2026-"));
    let requests = server.requests();
    assert_eq!(requests[1].headers["if-match"], "\"one\"");
    assert!(requests.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[test]
fn what_may_pass_is_tried_again_also_in_the_middle_of_a_body() {
    let (server, places, object) = s3(|nth, request, out| match nth {
        1 => out.answer("500 Internal Server Error", &[], b""),
        2 => out.close(),
        3 => {
            out.raw(b"HTTP/1.1 206 Partial Content\r\nETag: \"one\"\r\nLast-Modified: Wed, 21 Oct 2026 12:00:00 GMT\r\n");
            out.raw(b"Content-Range: bytes 4-7/16\r\nContent-Length: 4\r\n\r\n45");
            out.close();
        }
        4 => out.answer("503 Slow Down", &[], b"<Error><Code>SlowDown</Code></Error>"),
        _ => out.file(request, BODY, "\"one\""),
    });
    assert_eq!(places.read(&object, 4..8).unwrap(), "4567");
    assert_eq!(server.requests().len(), 6, "each try is counted once");
}

#[test]
fn tries_are_bounded_and_the_last_cause_is_told() {
    let (server, places, object) = s3(|_, _, out| {
        out.answer("503 Slow Down", &[], b"<Error><Code>SlowDown</Code><Message>less, please</Message><Key>k</Key></Error>");
    });
    let error = places.read(&object, 4..8).unwrap_err().to_string();
    assert_eq!(error, "s3://bucket/a.jsonl, bytes 4 to 8, after 6 tries: it is refused with status 503: SlowDown: less, please");
    assert_eq!(server.requests().len(), 7);
}

#[test]
fn a_cut_page_of_a_listing_is_asked_for_again() {
    let server = Server::start(|request, out| match request.nth {
        0 => {
            out.raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", LIST.len(), &LIST[..80]).as_bytes());
            out.close();
        }
        1 => out.answer("500 Internal Server Error", &[], b""),
        _ => out.answer("200 OK", &[], LIST.as_bytes()),
    });
    assert_eq!(one(&s3_places(&server, &[("AWS_SKIP_SIGNATURE", "true")]), "s3://bucket/*").uri, "s3://bucket/a.jsonl");
    let junk = Server::start(|_, out| out.answer("200 OK", &[], b"<html>log in</html>"));
    assert!(list(&s3_places(&junk, &[("AWS_SKIP_SIGNATURE", "true")]), &["s3://bucket/*"]).is_err());
}

#[test]
fn other_bytes_than_those_asked_for_are_not_taken_for_them() {
    type Answer = fn(&Request, &mut Out<'_>);
    let answers: [(Answer, &str); 7] = [
        (|request, out| out.file(request, BODY, "\"two\""), "changed"),
        (|request, out| out.file(request, b"0123456789abcdef, and more", "\"one\""), "changed"),
        (|_, out| out.answer("412 Precondition Failed", &[], b""), "changed"),
        (|_, out| out.answer("200 OK", &[("ETag", "\"one\""), ("Last-Modified", NOON)], BODY), "wrong_bytes"),
        (|_, out| part(out, "bytes 5-8/16", b"5678"), "wrong_bytes"),
        (|_, out| part(out, "bytes 4-7/16", b"456"), "cut_off"),
        (|_, out| part(out, "bytes 4-7/16", b"45678"), "wrong_bytes"),
    ];
    for (answer, code) in answers {
        let (_server, places, object) = s3(move |_, request, out| answer(request, out));
        assert_eq!(code_of(places.read(&object, 4..8)), code);
    }
}

fn part(out: &mut Out<'_>, part: &str, body: &[u8]) {
    out.answer("206 Partial Content", &[("ETag", "\"one\""), ("Last-Modified", NOON), ("Content-Range", part)], body);
}

#[test]
fn a_redirect_is_not_followed_with_keys_and_the_region_is_told() {
    let other = Server::start(|_, _| {});
    let to = format!("{}/x?X-Amz-Signature=hush", other.url());
    let server = Server::start(move |request, out| match request.nth {
        0 => out.answer("307 Temporary Redirect", &[("Location", &to)], b""),
        _ => out.answer(
            "301 Moved Permanently",
            &[("x-amz-bucket-region", "ap-south-1")],
            b"<Error><Code>PermanentRedirect</Code></Error>",
        ),
    });
    let keys =
        [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hush-hush"), ("AWS_SESSION_TOKEN", "hush-token")];
    let places = s3_places(&server, &keys);
    let error = list(&places, &["s3://bucket/*"]).unwrap_err().to_string();
    assert!(error.contains("which is not followed") && !error.contains("hush"), "{error}");
    let error = list(&places, &["s3://bucket/*"]).unwrap_err().to_string();
    assert!(error.contains("PermanentRedirect; its bucket is in the region ap-south-1\nhint: check AWS_REGION"), "{error}");
    assert!(other.requests().is_empty());
    assert!(server.requests()[0].headers.contains_key("authorization"), "it was signed");
}

#[test]
fn empty_objects_that_mark_folders_are_passed_over() {
    let object = |key: &str, size: u64| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-10-21T12:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>{size}</Size></Contents>"
        )
    };
    let all =
        [object("d/", 0), object("d/sub/", 0), object("d/sub/a", 1), object("d/old_$folder$", 0), object("d/empty", 0)].concat();
    let server =
        Server::start(move |_, out| out.answer("200 OK", &[], format!("<ListBucketResult>{all}</ListBucketResult>").as_bytes()));
    let places = s3_places(&server, &[("AWS_SKIP_SIGNATURE", "true")]);
    let listing = places.list(&[Uri::parse("s3://bucket/d/**").unwrap()]).unwrap();
    let uris: Vec<&str> = listing.objects().iter().map(|object| object.uri.as_str()).collect();
    assert_eq!(uris, ["s3://bucket/d/empty", "s3://bucket/d/sub/a"]);
    assert_eq!(listing.passed_over().count, 2);
}

#[test]
fn googles_buckets_are_listed_and_read() {
    let server = Server::start(|request, out| match request.range() {
        None => out.answer("200 OK", &[], LIST.as_bytes()),
        Some(_) => out.file(request, BODY, "\"one\""),
    });
    let url = server.url();
    let places =
        places_with(patience(), &[("GOOGLE_BASE_URL", &url), ("GOOGLE_ALLOW_HTTP", "true"), ("GOOGLE_SKIP_SIGNATURE", "true")]);
    let object = one(&places, "gs://bucket/*.jsonl");
    assert_eq!(object.uri, "gs://bucket/a.jsonl");
    assert_eq!(places.read(&object, 4..8).unwrap(), "4567");
    let other = Object { tag: "\"two\"".to_owned(), ..object };
    assert_eq!(code_of(places.read(&other, 4..8)), "changed");
}

#[test]
fn azures_containers_are_listed_and_read_though_their_listings_give_etags_without_quotes() {
    let page = r#"<?xml version="1.0"?><EnumerationResults ContainerName="c"><Blobs><Blob><Name>a.jsonl</Name><Properties><Last-Modified>Wed, 21 Oct 2026 12:00:00 GMT</Last-Modified><Etag>0x8D</Etag><Content-Length>16</Content-Length><Content-Type>x</Content-Type></Properties></Blob></Blobs><NextMarker/></EnumerationResults>"#;
    let server = Server::start(move |request, out| match request.range() {
        None => out.answer("200 OK", &[], page.as_bytes()),
        Some(_) => out.file(request, BODY, "\"0x8D\""),
    });
    let url = server.url();
    let places = places_with(
        patience(),
        &[
            ("AZURE_STORAGE_ENDPOINT", &url),
            ("AZURE_ALLOW_HTTP", "true"),
            ("AZURE_SKIP_SIGNATURE", "true"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ],
    );
    let object = one(&places, "az://c/*.jsonl");
    assert_eq!((object.uri.as_str(), object.tag.as_str()), ("az://c/a.jsonl", "\"0x8D\""));
    assert_eq!(places.read(&object, 4..8).unwrap(), "4567");
    assert_eq!(server.requests()[1].headers["if-match"], "\"0x8D\"");
}

#[test]
fn an_object_that_is_named_is_found_where_listing_is_not_allowed() {
    let server = Server::start(|request, out| match request.method.as_str() {
        "HEAD" if request.target == "/bucket/a.jsonl" => {
            out.raw(b"HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: 16\r\n");
            out.raw(b"Last-Modified: Wed, 21 Oct 2026 12:00:00 GMT\r\n\r\n");
        }
        "HEAD" => out.raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        _ => out.answer("403 Forbidden", &[], b"<Error><Code>AccessDenied</Code></Error>"),
    });
    let places = s3_places(&server, &[("AWS_SKIP_SIGNATURE", "true")]);
    assert_eq!(one(&places, "s3://bucket/a.jsonl").size, 16);
    assert!(list(&places, &["s3://bucket/b.jsonl"]).unwrap_err().to_string().contains("there is no such file"));
    assert!(list(&places, &["s3://bucket/*.jsonl"]).unwrap_err().to_string().contains("status 403: AccessDenied"));
}
