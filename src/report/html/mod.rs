//! One HTML file to keep beside a release: it needs no network and no script, prints, and follows the reader's light or
//! dark setting.

mod axis;
mod badge;
mod evidence;
mod figure;
mod gauge;
mod norms;
mod page;
mod probe;
mod values;

use crate::record::RunRecord;

#[must_use]
pub fn render(run: &RunRecord) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = page::write(&mut text, run);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn no_name_and_no_message_becomes_markup() {
        let page = render(&sample::hostile());
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
        assert!(!page.contains('\x1b') && !page.contains('\0') && !page.contains('\u{202E}'));
    }

    #[test]
    fn every_tag_is_closed_and_nothing_comes_from_elsewhere() {
        for (name, run) in sample::all() {
            let page = render(&run);
            // The page keeps to the part of HTML that is XML too.
            let parsed = roxmltree::Document::parse_with_options(
                page.trim_start_matches("<!doctype html>"),
                roxmltree::ParsingOptions::default(),
            );
            let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
            for node in parsed.descendants().filter(roxmltree::Node::is_element) {
                for attribute in node.attributes().filter(|attribute| matches!(attribute.name(), "href" | "src")) {
                    assert!(attribute.value().starts_with('#') || attribute.value() == "data:,", "{name}: {}", attribute.value());
                }
            }
        }
    }

    #[test]
    fn every_id_is_used_once_and_every_link_has_its_end() {
        let page = render(&sample::hostile());
        for i in 1..=6 {
            assert_eq!(page.matches(&format!("id=\"probe-{i}\"")).count(), 1);
            assert_eq!(page.matches(&format!("href=\"#probe-{i}\"")).count(), 1);
        }
    }

    #[test]
    fn a_figure_that_is_not_finite_draws_no_broken_picture() {
        let mut run = sample::healthy();
        run.probes[0].values[3] = f64::NAN;
        run.probes[0].criteria[0].estimate.value = f64::NAN;
        run.probes[1].criteria[0].estimate.interval = Some([f64::NEG_INFINITY, f64::INFINITY]);
        let page = render(&run);
        assert!(!page.contains("=\"NaN") && !page.contains("=\"inf") && !page.contains("=\"-inf"));
    }

    #[test]
    fn a_dead_adapter_is_the_finding() {
        let page = render(&sample::dead());
        assert!(page.contains("The adapter is not live"));
        assert!(!page.contains("id=\"probe-1\""));
    }

    #[test]
    fn what_bf16_cannot_tell_is_not_called_dead() {
        let page = render(&sample::under_the_floor());
        assert!(page.contains("It can’t be told whether the adapter is live") && !page.contains("is not live"));
        assert!(page.contains("724 k parameters · in bf16 · ") && page.contains("noise floor (bf16 against f32), nats"));
    }
}
