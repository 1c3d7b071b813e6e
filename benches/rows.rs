//! How fast rows are read from JSONL in zstd, beside `zstd -dc FILE | wc -l`.
//!
//! `[ROWS=N] cargo bench --bench rows` writes a file of prompts of 200 to 600 bytes, then times both by turns, five times each, and
//! prints the medians and their ratio.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool, not the library")]

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use sway::stream::Object;
use sway::stream::row::{Format, Options, ReadFrom, Rows, Source, Wanted};

struct Path(PathBuf);

impl ReadFrom for Path {
    fn read_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

const WORDS: &str = "the a of to in is that it for on with as was are this be at by from or have an they which one you were all her \
    she there would their we him been has when who will no more if out so what up said its about than into them can only other time \
    new some could these two may first then do any like my now over such our man me even most made after also did many off before \
    must well back through years where much your way down should because long each just state those people too mister how little \
    good world make very year still see work life such explain summarise translate write function python rust table model prompt \
    answer question list steps example email customer report data analysis";

fn write(path: &PathBuf, rows: usize) {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let mut out = zstd::Encoder::new(BufWriter::new(File::create(path).unwrap()), 3).unwrap();
    for row in 0..rows {
        let length = 200 + next(400);
        let mut prompt = String::new();
        while prompt.len() < length {
            // Few words are used much, as in language.
            let word = words[next(words.len()) * next(words.len()) / words.len()];
            prompt.push_str(word);
            prompt.push_str(if next(12) == 0 {
                ".\n"
            } else if next(40) == 0 {
                " \"é\" "
            } else {
                " "
            });
        }
        let line = serde_json::json!({
            "id": format!("{:016x}-{row}", next(usize::MAX)), "timestamp": 1_700_000_000 + row, "prompt": prompt,
            "model": "small", "temperature": 0.7, "tags": ["a", "b"], "usage": {"in": next(500), "out": next(900)},
        });
        writeln!(out, "{line}").unwrap();
    }
    out.finish().unwrap().flush().unwrap();
}

/// Seconds that this process, or its children, had a core.
fn on_core(children: bool) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(4).map(|n| n.parse().unwrap()).collect();
    (if children { fields[2] + fields[3] } else { fields[0] + fields[1] }) / 100.0
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn main() {
    let rows: usize = std::env::var("ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traffic.jsonl.zst");
    write(&path, rows);
    let size = path.metadata().unwrap().len();
    let object = Object { uri: path.display().to_string(), size, tag: String::new() };
    let source = Source::Stream(Arc::new(Path(path.clone())));
    println!("{rows} rows, {size} bytes packed");
    let run = |wanted: Wanted, is_ahead: bool| {
        let options = Options { format: Format::told_by(&object.uri).unwrap(), wanted, from: None, sample: None, is_ahead };
        let (start, cpu) = (Instant::now(), on_core(false));
        let mut bytes = 0;
        let count = Rows::open(&object, &source, &options).unwrap().map(|row| bytes += row.unwrap().bytes).count();
        assert_eq!(count, rows);
        std::hint::black_box(bytes);
        (start.elapsed().as_secs_f64(), on_core(false) - cpu)
    };
    let field = || Wanted::Field("prompt".to_owned());
    let mut seconds = [const { Vec::new() }; 5];
    let mut cores = [const { Vec::new() }; 5];
    for _ in 0..5 {
        let (start, cpu) = (Instant::now(), on_core(true));
        let command = format!("zstd -dc '{}' | wc -l", path.display());
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), rows.to_string());
        seconds[0].push(start.elapsed().as_secs_f64());
        cores[0].push(on_core(true) - cpu);
        for (index, (wanted, is_ahead)) in
            [(field(), true), (field(), false), (Wanted::Row, true), (Wanted::Row, false)].into_iter().enumerate()
        {
            let (wall, core) = run(wanted, is_ahead);
            seconds[index + 1].push(wall);
            cores[index + 1].push(core);
        }
    }
    let names = [
        "zstd -dc | wc -l",
        "field, a thread ahead",
        "field, one thread",
        "whole rows, a thread ahead",
        "whole rows, one thread",
    ];
    let medians = seconds.map(median);
    for ((name, median), core) in names.iter().zip(medians).zip(cores.map(self::median)) {
        let (rate, share) = (rows as f64 / median, 100.0 * medians[0] / median);
        println!("{name:28} {median:7.3} s  {core:6.2} s on cores  {rate:10.0} rows/s  {share:6.1} % of zstd");
    }
    let options =
        Options { format: Format::told_by(&object.uri).unwrap(), wanted: field(), from: None, sample: None, is_ahead: true };
    let from = Rows::open(&object, &source, &options).unwrap().nth(rows * 9 / 10 - 1).unwrap().unwrap().position;
    let start = Instant::now();
    let next = Rows::open(&object, &source, &Options { from: Some(from), ..options }).unwrap().next().unwrap().unwrap();
    println!("row {} after going on at 9/10: {:.3} s", next.number, start.elapsed().as_secs_f64());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("peak memory, writing the file included:{}", status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap());
}
