use std::fs::File;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/training").join(name)
}

fn adam(path: &Path) -> OptimizerState {
    match OptimizerFile::read(&Workspace::default(), path).unwrap() {
        OptimizerFile::Adam(state) => state,
        OptimizerFile::Other(what) => panic!("{what}"),
    }
}

/// What is wrong with a file, without its path.
fn wrong(path: &Path) -> String {
    OptimizerFile::read(&Workspace::default(), path).unwrap_err().to_string().replace(&format!("{} is ", path.display()), "")
}

/// Reads these bytes as a file.
fn of_bytes(bytes: &[u8]) -> Result<OptimizerFile, ModelError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    OptimizerFile::read(&Workspace::default(), file.path())
}

#[test]
fn every_state_is_what_torch_says_of_it() {
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(fixture("states/figures.json")).unwrap()).unwrap();
    let figures = figures.as_object().unwrap();
    assert!(figures.len() >= 12);
    for (name, told) in figures {
        let file = if name == "dlm" { "training_state.pt" } else { "optimizer.pt" };
        let state = adam(&fixture("states").join(name).join(file));
        let never: Vec<&str> = told["never_updated"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(state.never_updated, never, "{name}");
        let parameters = told["parameters"].as_array().unwrap();
        assert_eq!(state.parameters.len(), parameters.len(), "{name}");
        for (read, told) in state.parameters.iter().zip(parameters) {
            let shape: Vec<u64> = serde_json::from_value(told["shape"].clone()).unwrap();
            assert_eq!(
                (read.name.as_str(), &read.shape, read.step),
                (told["id"].as_str().unwrap(), &shape, told["step"].as_f64())
            );
            assert_eq!(read.second.values, shape.iter().product::<u64>());
            assert_eq!(
                (read.second.zeros, read.second.not_finite),
                (told["zeros"].as_u64().unwrap(), told["not_finite"].as_u64().unwrap())
            );
            let mean = told["mean"].as_f64().unwrap();
            assert!((read.second.mean - mean).abs() <= 1e-12 * mean, "{name} {}: {} and {mean}", read.name, read.second.mean);
        }
        assert_eq!(state.global_step, (name == "dlm").then_some(60));
    }
}

#[test]
fn a_pickle_that_runs_a_command_is_refused_by_the_name_of_the_command() {
    for file in ["hostile/command.pt", "hostile/bare_command.pt"] {
        let said = wrong(&fixture(file));
        assert!(said.starts_with("refused: it names `posix.system`, which Python would import, and may run"), "{said}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let said = wrong(&fixture("hostile/legacy.pt"));
    assert!(said.starts_with("refused: it is a bare pickle, the format of torch before 1.6\nhint: "), "{said}");
    let said = wrong(&fixture("hostile/compressed.pt"));
    assert_eq!(said, "refused: its entry `weights/data.pkl` is compressed or encrypted, which torch.save never does");
    assert_eq!(wrong(&fixture("hostile/weights.pt")), "not valid: it holds no optimizer's state: it has `weight`");
    assert_eq!(wrong(&fixture("make.py")), "not valid: it is not a file of torch.save");
    assert!(
        OptimizerFile::read(&Workspace::default(), &fixture("nothing.pt")).unwrap_err().to_string().starts_with("can't read ")
    );
}

#[test]
fn another_optimizer_is_told_by_what_it_keeps() {
    let other = |file: &str| match OptimizerFile::read(&Workspace::default(), &fixture(file)).unwrap() {
        OptimizerFile::Other(what) => what,
        OptimizerFile::Adam(state) => panic!("{state:?}"),
    };
    let said = other("hostile/eight_bit.pt");
    assert!(said.starts_with("8-bit moments of bitsandbytes (it has `step`, `state1`, `state2`, `qmap1`"), "{said}");
    assert_eq!(
        other("hostile/sgd.pt"),
        "no second moments (`exp_avg_sq`), which Adam has: of parameter 0 it has `momentum_buffer`"
    );
}

#[test]
fn a_tensor_outside_of_its_storage_is_no_allocation_but_an_error() {
    assert_eq!(wrong(&fixture("hostile/outside.pt")), "not valid: a tensor lies outside of its storage `0`");
    let ones = Moments { values: 4, not_finite: 0, zeros: 0, mean: 1.0 };
    assert_eq!(adam(&fixture("hostile/sound.pt")).parameters[0].second, ones);
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_an_error() {
    let whole = std::fs::read(fixture("hostile/sound.pt")).unwrap();
    for length in (0..whole.len()).step_by(5).chain(whole.len() - 30..whole.len()) {
        assert!(of_bytes(&whole[..length]).is_err(), "{length}");
    }
    assert!(of_bytes(&whole).is_ok());
}

/// The value that some instructions end in.
fn pickled(instructions: &[u8]) -> Result<pickle::Pickle, String> {
    pickle::read(instructions).map_err(|flaw| match flaw {
        Flaw::Invalid(message) | Flaw::Refused(message) => message,
        Flaw::Read(error) => error.to_string(),
    })
}

fn wrong_pickle(instructions: &[u8]) -> String {
    pickled(instructions).err().expect("it was read")
}

#[test]
fn a_claimed_length_is_not_believed() {
    assert_eq!(wrong_pickle(b"X\xff\xff\xff\xffabc"), "its pickle ends too early");
    assert_eq!(wrong_pickle(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc"), "its pickle ends too early");
    assert_eq!(wrong_pickle(b"\x8b\xff\xff\xff\x7f"), "its pickle ends too early");
}

#[test]
fn a_value_of_a_billion_copies_is_there_once() {
    // Each tuple holds the one before it twice.
    let mut bomb = b")q\x00".to_vec();
    for _ in 0..200 {
        bomb.extend(b"h\x00h\x00\x86q\x00");
    }
    bomb.push(b'.');
    assert!(matches!(pickled(&bomb).unwrap().root(), pickle::Node::Tuple(ids) if ids.len() == 2));
}

#[test]
fn a_million_levels_and_a_list_that_holds_itself_do_no_harm() {
    let mut deep = b")".to_vec();
    deep.extend(vec![0x85; 1_000_000]);
    deep.push(b'.');
    drop(pickled(&deep).unwrap());
    assert!(pickled(b"]q\x00h\x00a.").is_ok());
    let mut wide = vec![b'N'; 3_000_000];
    wide.push(b'.');
    assert!(wrong_pickle(&wide).starts_with("its pickle makes more than"));
}

/// What an optimizer's state makes of a pickle, in an archive of a sound one.
fn state_of(instructions: &[u8]) -> Result<OptimizerFile, String> {
    let mut archive = Archive::new(File::open(fixture("hostile/sound.pt")).unwrap()).unwrap();
    let pickle = pickle::read(instructions).map_err(|flaw| format!("{flaw:?}"))?;
    state::read(&pickle, &mut archive, Budget { bytes: 64 }).map_err(|flaw| format!("{flaw:?}"))
}

/// `{"state": {}, "param_groups": [group, group, …]}`, where a group is made by these instructions.
fn groups(group: &[u8], count: usize) -> Vec<u8> {
    let mut text = b"}(X\x05\x00\x00\x00state}X\x0c\x00\x00\x00param_groups](".to_vec();
    text.extend(group);
    text.extend(b"q\x01");
    text.extend(b"h\x01".repeat(count - 1));
    text.extend(b"eu.");
    text
}

#[test]
fn what_is_named_once_and_meant_a_million_times_is_bounded() {
    let ids = |count: usize| [&b"}X\x06\x00\x00\x00params]("[..], &b"K\x07".repeat(count), b"es"].concat();
    let sound = state_of(&groups(&ids(3), 2)).unwrap();
    assert!(matches!(sound, OptimizerFile::Adam(state) if state.never_updated.len() == 6));
    let many = state_of(&groups(&ids(10_000), 10_000)).unwrap_err();
    assert!(many.contains("more than 262144 parameters"), "{many}");
    // A group of many keys, a million times.
    let keys: Vec<u8> = (0..100_000u32).flat_map(|key| [&b"J"[..], &key.to_le_bytes(), b"N"].concat()).collect();
    let wide = state_of(&groups(&[&b"}("[..], &keys, b"u"].concat(), 100_000)).unwrap_err();
    assert!(wide.contains("has no `params`"), "{wide}");
}

#[test]
fn every_way_to_name_a_command_is_seen() {
    let ways: [&[u8]; 4] = [
        b"cos\nsystem\n(X\x02\x00\x00\x00lstR.",
        b"(X\x02\x00\x00\x00lsios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
        b"X\x02\x00\x00\x00osq\x00X\x06\x00\x00\x00systemq\x01h\x00h\x01\x93.",
    ];
    for way in ways {
        let said = wrong_pickle(way);
        assert!(said.starts_with("it names `os.system`"), "{said}");
    }
    // Names are told without what a terminal would obey.
    assert!(wrong_pickle(b"c\x1b[31m\nx\n.").starts_with("it names `\\u{1b}[31m.x`"));
}

#[test]
fn what_ends_early_or_holds_too_little_is_broken() {
    for broken in [
        &b"R."[..],
        b".",
        b"\x85.",
        b"(u.",
        b"]NNs.",
        b"}(Nu.",
        b"h\x05.",
        b"t.",
        b"Q.",
        b"b.",
        b"NN\x93.",
        b"ccollections\nOrderedDict\nNR.",
    ] {
        let said = wrong_pickle(broken);
        assert!(["its pickle is broken", "its pickle ends too early"].contains(&said.as_str()), "{said}");
    }
    assert_eq!(wrong_pickle(b"\xff."), "its pickle has an instruction that torch does not write (0xff)");
}

#[test]
fn whole_numbers_have_their_sign() {
    let number = |text: &[u8]| match pickled(text).unwrap().root() {
        pickle::Node::Int(number) => *number,
        other => panic!("{other:?}"),
    };
    assert_eq!([number(b"J\xff\xff\xff\xff."), number(b"K\xff."), number(b"M\x00\x01.")], [-1, 255, 256]);
    assert_eq!([number(b"\x8a\x00."), number(b"\x8a\x01\xff."), number(b"\x8a\x02\xff\x00.")], [0, -1, 255]);
    assert!(matches!(pickled(b"\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09.").unwrap().root(), pickle::Node::Opaque));
    assert!(matches!(pickled(b"G\x3f\xf8\x00\x00\x00\x00\x00\x00.").unwrap().root(), pickle::Node::Float(1.5)));
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = pickled(&bytes);
        let _ = of_bytes(&bytes);
        let mut archive = b"PK\x03\x04".to_vec();
        archive.extend(&bytes);
        let _ = of_bytes(&archive);
    }

    #[test]
    fn instructions_in_any_order_are_no_panic(bytes in proptest::collection::vec(proptest::sample::select(b"().0abeshjqrRtuQ}]NKMGX\x81\x85\x86\x87\x8f\x90\x93\x94\x00\x01".to_vec()), 0..80)) {
        let _ = pickled(&bytes);
    }

    /// No byte of a file is trusted: whatever is written over it, reading it ends, in an answer or an error.
    #[test]
    fn a_sound_file_with_bytes_overwritten_is_no_panic(changes in proptest::collection::vec((0usize..10_000, any::<u8>()), 1..8)) {
        let mut bytes = std::fs::read(fixture("states/healthy/optimizer.pt")).unwrap();
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[at % length] = byte;
        }
        let _ = of_bytes(&bytes);
    }
}
