//! The size of each module's update, drawn as bars: a row for each kind of module, a bar for each module.

use std::fmt::{self, Write};

use crate::record::{Liveness, ModuleLiveness};
use crate::report::escape::Html;
use crate::report::{number, outcome};

const HEIGHT: f64 = 30.0;
/// A bar's width with its gap, in pixels, while the row is not too long for that.
const BAR: f64 = 10.0;
const LONGEST: f64 = 480.0;

pub(super) fn write(out: &mut String, liveness: &Liveness) -> fmt::Result {
    let rows = rows(&liveness.modules);
    let largest = liveness.modules.iter().map(|module| module.relative_norm).filter(|x| x.is_finite()).fold(0.0, f64::max);
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, r#"<div class="wide"><table class="norms"><thead><tr><th scope="col">module</th>"#)?;
    writeln!(
        out,
        r#"<th scope="col">‖ΔW‖/‖W‖, one bar a module</th><th scope="col" class="n">median</th><th scope="col" class="n">largest</th>"#
    )?;
    writeln!(out, "</tr></thead><tbody>")?;
    for (name, modules) in &rows {
        let Some([median, most]) = outcome::norms(modules.iter().copied()) else { continue };
        writeln!(out, r#"<tr><th scope="row"><code>{}</code></th><td>"#, Html(name))?;
        bars(out, modules, largest)?;
        writeln!(
            out,
            r#"</td><td class="n">{}</td><td class="n">{}</td></tr>"#,
            number::significant(median),
            number::significant(most),
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn bars(out: &mut String, modules: &[&ModuleLiveness], largest: f64) -> fmt::Result {
    let bar = BAR.min(LONGEST / modules.len() as f64);
    let width = bar * modules.len() as f64;
    let zero = modules.iter().filter(|module| module.relative_norm == 0.0).count();
    let label = format!("{}, {zero} exactly zero", number::plural(modules.len() as u64, "module"));
    writeln!(
        out,
        r#"<svg class="bars" viewBox="0 0 {width} {HEIGHT}" style="width:{width}px" role="img" aria-label="{label}">"#
    )?;
    for (i, module) in modules.iter().enumerate() {
        let part = if largest > 0.0 && module.relative_norm.is_finite() { module.relative_norm / largest } else { 0.0 };
        // A module that is exactly zero keeps a hollow foot, so that it does not look absent.
        let (class, height) =
            if module.relative_norm == 0.0 { ("zero", 4.0) } else { ("item", (part * (HEIGHT - 2.0)).max(1.0)) };
        let (x, y) = (i as f64 * bar + bar * 0.1, HEIGHT - 1.0 - height);
        let text = number::significant(module.relative_norm);
        writeln!(
            out,
            r#"<rect class="{class}" x="{x:.2}" y="{y:.1}" width="{:.2}" height="{height:.1}"><title>{}: {text}</title></rect>"#,
            bar * 0.8,
            Html(&module.module),
        )?;
    }
    writeln!(out, "</svg>")
}

/// The modules by path with the numbers of layers and experts left out, in the order in which they come.
fn rows(modules: &[ModuleLiveness]) -> Vec<(String, Vec<&ModuleLiveness>)> {
    let mut rows: Vec<(String, Vec<&ModuleLiveness>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for module in modules {
        let name = without_numbers(&module.module);
        let place = *places.entry(name.clone()).or_insert_with(|| {
            rows.push((name, Vec::new()));
            rows.len() - 1
        });
        rows[place].1.push(module);
    }
    rows
}

/// `model.layers.3.mlp.up_proj` as `model.layers.*.mlp.up_proj`.
fn without_numbers(path: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    path.split('.').map(|part| if is_number(part) { "*" } else { part }).collect::<Vec<_>>().join(".")
}
