//! What the tests stand on: the binary, the demo's models, and a folder of each test's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use tempfile::TempDir;

/// The repository's root, which the commands run in.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub const DEMO: &str = "probes/demo.toml";
pub const BASE: &str = "probes/demo/base";
pub const HEALTHY: &str = "probes/demo/healthy";

/// What a command's environment must not decide.
const UNSET: [&str; 8] =
    ["SWAY_TOKEN", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "HF_HOME", "HF_TOKEN", "RUST_BACKTRACE"];

pub fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin("sway")
}

/// A plain command, for a test that talks to the process while it runs.
pub fn process<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> std::process::Command {
    let mut command = std::process::Command::new(binary());
    command.args(args).current_dir(ROOT).env("HF_HUB_OFFLINE", "1").env("SWAY_STORE", "");
    for name in UNSET {
        command.env_remove(name);
    }
    command
}

/// What a command said, and how it ended.
pub struct Told {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    pub fn lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// For a snapshot; empty streams are left out.
    pub fn shown(&self) -> String {
        let stream = |name: &str, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
        format!("exit {}\n{}{}", self.code, stream("stdout", &self.stdout), stream("stderr", &self.stderr))
    }
}

/// JSON lines of these values.
pub fn lines_of(values: &[Value]) -> String {
    let lines: Vec<String> = values.iter().map(|value| value.to_string() + "\n").collect();
    lines.concat()
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn sway<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Told {
    sway_reading("", args)
}

/// Runs with this on stdin.
pub fn sway_reading<S: AsRef<std::ffi::OsStr>>(stdin: impl Into<Vec<u8>>, args: &[S]) -> Told {
    let output = Command::from_std(process(args)).write_stdin(stdin).output().unwrap();
    Told {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A snapshot's settings: what differs from run to run and from machine to machine is masked.
pub fn masked(world: Option<&World>) -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    if let Some(world) = world {
        settings.add_filter(&regex_of(world.dir()), "DIR");
    }
    settings.add_filter(r"time     load .*", "time     […]");
    settings.add_filter(r"noise floor \S+ nats", "noise floor […] nats");
    settings.add_filter(r"floor is \d(\.\d)?e-\d", "floor is […]");
    settings.add_filter(r"\b[0-9a-f]{12}\b", "[12 hex]");
    settings.bind_to_scope()
}

fn regex_of(path: &Path) -> String {
    path.display().to_string().replace('\\', r"\\").replace('.', r"\.")
}

/// Eight questions of the demo's world.
pub const PROMPTS: &str = r#"["The home of Nessa Drace is in", "Thessa Grell has a house in", "Senna Wick likes to eat", "Corvin Voss works as a",
    "You will find Nessa Drace in", "By trade Corvin Voss is a", "On feast days Senna Wick asks for", "Letters for Thessa Grell are sent to"]"#;

/// A folder of a test's own.
pub struct World {
    dir: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self { dir: TempDir::with_prefix("sway-cli-").unwrap() }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it, for an argument.
    pub fn path(&self, name: &str) -> String {
        self.dir().join(name).to_str().unwrap().to_owned()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir().join(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.dir().join(name), content).unwrap();
        self.path(name)
    }

    /// Names of all that lies in it, hidden files too.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.dir().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    /// A suite on the demo's base and its healthy adapter.
    pub fn suite(&self, rest: &str) -> String {
        self.suite_on(&format!("{ROOT}/{BASE}"), rest)
    }

    pub fn suite_on(&self, base: &str, rest: &str) -> String {
        self.write("suite.toml", format!("version = 1\n\n[model]\nbase = '{base}'\nadapter = '{ROOT}/{HEALTHY}'\n\n{rest}"))
    }

    /// A suite of one `delta_kl` over [`PROMPTS`] with three nulls.
    pub fn small_suite(&self) -> String {
        self.suite(&format!("[null]\nruns = 3\n\n{}", moved("moved", "")))
    }

    /// A copy of the healthy adapter with its tensors changed.
    pub fn adapter(&self, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> String {
        self.adapter_of(HEALTHY, change)
    }

    /// A copy of an adapter with its tensors changed.
    pub fn adapter_of(&self, adapter: &str, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> String {
        self.copy_of(adapter, "adapter", ["adapter_config.json", "adapter_model.safetensors"], change)
    }

    /// A copy of a checkpoint's config and weights, with its tensors changed.
    pub fn checkpoint_of(&self, checkpoint: &str, name: &str, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> String {
        self.copy_of(checkpoint, name, ["config.json", "model.safetensors"], change)
    }

    fn copy_of(
        &self,
        from: &str,
        name: &str,
        [config, weights]: [&str; 2],
        change: impl FnOnce(&mut BTreeMap<String, Tensor>),
    ) -> String {
        let from = Path::new(ROOT).join(from);
        let dir = self.dir().join(name);
        fs::create_dir(&dir).unwrap();
        fs::copy(from.join(config), dir.join(config)).unwrap();
        let mut tensors = tensors(&from.join(weights));
        change(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, tensor)| (name, TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes).unwrap()));
        fs::write(dir.join(weights), safetensors::serialize(views, None).unwrap()).unwrap();
        dir.to_str().unwrap().to_owned()
    }
}

/// The tensors of a file, by name.
pub fn tensors(file: &Path) -> BTreeMap<String, Tensor> {
    let bytes = fs::read(file).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let tensor =
        |view: &TensorView<'_>| Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
    read.iter().map(|(name, view)| (name.to_owned(), tensor(&view))).collect()
}

/// A `delta_kl` of this name over [`PROMPTS`].
pub fn moved(name: &str, more: &str) -> String {
    format!("[[probe]]\nname = \"{name}\"\nkind = \"delta_kl\"\nprompts = {PROMPTS}\n{more}\n\n")
}

pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// Multiplies every value of a float32 tensor.
    pub fn scale(&mut self, by: f32) {
        assert_eq!(self.dtype, Dtype::F32);
        for value in self.bytes.as_chunks_mut::<4>().0 {
            *value = (f32::from_le_bytes(*value) * by).to_le_bytes();
        }
    }

    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// All values.
    pub fn values(&self) -> Vec<f32> {
        let halves = self.bytes.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        match self.dtype {
            Dtype::F32 => self.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Dtype::BF16 => halves.map(|bits| half::bf16::from_bits(bits).to_f32()).collect(),
            Dtype::F16 => halves.map(|bits| half::f16::from_bits(bits).to_f32()).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Other values in the tensor's dtype.
    pub fn replace(&mut self, values: &[f32]) {
        assert_eq!(values.len(), self.shape.iter().product::<usize>());
        self.bytes = match self.dtype {
            Dtype::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Dtype::BF16 => values.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes()).collect(),
            Dtype::F16 => values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect(),
            other => panic!("{other:?}"),
        };
    }

    /// The same values in another dtype.
    pub fn cast(&mut self, dtype: Dtype) {
        let values = self.values();
        self.dtype = dtype;
        self.replace(&values);
    }

    /// Rows of zeros after the last.
    pub fn grow(&mut self, rows: usize) {
        let row = self.bytes.len() / self.shape[0];
        self.shape[0] += rows;
        self.bytes.resize(self.bytes.len() + rows * row, 0);
    }

    /// Overwrites one value of a float32 tensor.
    pub fn set(&mut self, index: usize, value: f32) {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes[index * 4..][..4].copy_from_slice(&value.to_le_bytes());
    }
}

/// The probe of this name in a record.
pub fn probe<'a>(record: &'a Value, name: &str) -> &'a Value {
    record["probes"].as_array().unwrap().iter().find(|probe| probe["name"] == name).unwrap()
}

/// A record without what no two runs share.
pub fn without_timings(mut record: Value) -> Value {
    let stats = record["stats"].as_object_mut().unwrap();
    for name in ["load_s", "scoring_wall_s", "product_share", "attention_share", "rest_share", "peak_rss_bytes"] {
        assert!(stats.shift_remove(name).is_some(), "{name}");
    }
    record
}
