use insta::assert_snapshot;

use super::*;
use crate::report::trace::{json, markdown, summarize};

const TRACE: &str = include_str!("trace.jsonl");

fn summary() -> TraceSummary {
    summarize(TRACE.as_bytes(), 3).unwrap()
}

#[test]
fn a_trace_at_80_columns() {
    assert_snapshot!(render(&summary(), Style::default()), @"
    9 events · 2 hits (22.2 %) · 7 misses in 4 batches · 2,172 tokens computed ·
    1.32 s
    1 incomplete line at the end

    probe                   events  hits  hit rate  tokens  wall ms  ops
    moved                        4     0     0.0 %     844     55.5  next_token_dist
    facts                        3     1    33.3 %   1,280     64.8  logprob_of
    a probe with a very l…       1     0     0.0 %      48  1,203.5  generate
    dose                         1     1   100.0 %       0      0.0  next_token_dist

    view         events  hits  hit rate  tokens  wall ms  ops
    base              2     0     0.0 %     851     43.2  logprob_of 1, next_token_…
    ft                4     2    50.0 %     851     48.2  logprob_of 2, next_token_…
    scaled_0.50       1     0     0.0 %      48  1,203.5  generate
    null_1            1     0     0.0 %     211     14.5  next_token_dist
    null_2            1     0     0.0 %     211     14.2  next_token_dist

    slowest
    wall ms  line  probe        view         op          tokens  batch  prompt
    1,203.5     8  a probe wi…  scaled_0.50  generate        48      4  0000055e0000
       33.8     6  facts        ft           logprob_of     640      3  000004068000
       31.0     5  facts        base         logprob_of     640      3  0000035ac000
    ");
}

#[test]
fn the_same_as_markdown() {
    assert_snapshot!(markdown::render(&summary()), @r"
    ## sway trace

    9 events · 2 hits (22.2 %) · 7 misses in 4 batches · 2,172 tokens computed · 1.32 s

    1 incomplete line at the end

    | probe | events | hits | hit rate | tokens | wall ms | ops |
    | :--- | ---: | ---: | ---: | ---: | ---: | :--- |
    | moved | 4 | 0 | 0.0 % | 844 | 55.5 | next\_token\_dist |
    | facts | 3 | 1 | 33.3 % | 1,280 | 64.8 | logprob\_of |
    | a probe with a very long name that goes on \| and on | 1 | 0 | 0.0 % | 48 | 1,203.5 | generate |
    | dose | 1 | 1 | 100.0 % | 0 | 0.0 | next\_token\_dist |

    | view | events | hits | hit rate | tokens | wall ms | ops |
    | :--- | ---: | ---: | ---: | ---: | ---: | :--- |
    | base | 2 | 0 | 0.0 % | 851 | 43.2 | logprob\_of 1, next\_token\_dist 1 |
    | ft | 4 | 2 | 50.0 % | 851 | 48.2 | logprob\_of 2, next\_token\_dist 2 |
    | scaled\_0.50 | 1 | 0 | 0.0 % | 48 | 1,203.5 | generate |
    | null\_1 | 1 | 0 | 0.0 % | 211 | 14.5 | next\_token\_dist |
    | null\_2 | 1 | 0 | 0.0 % | 211 | 14.2 | next\_token\_dist |

    ### Slowest

    | wall ms | line | probe | view | op | tokens | batch | prompt |
    | ---: | ---: | :--- | :--- | :--- | ---: | ---: | :--- |
    | 1,203.5 | 8 | a probe with a very long name that goes on \| and on | scaled\_0.50 | generate | 48 | 4 | 0000055e0000 |
    | 33.8 | 6 | facts | ft | logprob\_of | 640 | 3 | 000004068000 |
    | 31.0 | 5 | facts | base | logprob\_of | 640 | 3 | 0000035ac000 |
    ");
}

#[test]
fn the_json_names_its_version_and_holds_every_figure() {
    let read: serde_json::Value = serde_json::from_str(&json::render(&summary()).unwrap()).unwrap();
    assert_eq!(read["schema_version"], 1);
    assert_eq!(read["totals"]["events"], 9);
    assert_eq!(read["totals"]["misses"], 7);
    assert_eq!(read["probes"][0]["views"][0]["view_id"], "base");
    assert_eq!(read["slowest"].as_array().unwrap().len(), 3);
    assert_eq!(read["incomplete_lines"], 1);
}

#[test]
fn no_line_is_wider_than_the_page() {
    for width in 60..=120 {
        let text = render(&summary(), Style { color: false, width });
        assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= width), "{width}:\n{text}");
    }
}

#[test]
fn an_empty_trace_says_that_nothing_ran() {
    let summary = summarize(&b""[..], 3).unwrap();
    assert_snapshot!(render(&summary, Style::default()), @"0 events · 0 hits (0.0 %) · 0 misses in 0 batches · 0 tokens computed · 0.00 s");
}
