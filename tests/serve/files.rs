//! A model's files, changed under the daemon that has it warm.

use std::fs;
use std::io::Write;
use std::thread;

use crate::beside::Bystander;
use crate::daemon::{Daemon, copy, make_pipe, on, score_path, until};
use crate::questions::{in_process, lines};
use crate::world::{BASE, HEALTHY, World};

const MEMORISED: &str = "probes/demo/memorised";

/// What becomes of a model's folder.
type Harm = fn(&World);

const WEIGHTS: &str = "adapter/adapter_model.safetensors";

/// Each leaves something that can't be loaded.
const HARMS: [(&str, Harm); 6] = [
    ("overwritten", |world| drop(world.write(WEIGHTS, vec![0xa5; 228_208]))),
    ("truncated", |world| fs::File::options().write(true).open(world.path(WEIGHTS)).unwrap().set_len(100_000).unwrap()),
    ("emptied", |world| drop(world.write(WEIGHTS, ""))),
    ("weights deleted", |world| fs::remove_file(world.path(WEIGHTS)).unwrap()),
    ("config deleted", |world| fs::remove_file(world.path("adapter/adapter_config.json")).unwrap()),
    ("folder deleted", |world| fs::remove_dir_all(world.path("adapter")).unwrap()),
];

#[test]
fn requests_in_flight_are_not_hurt_and_later_ones_are_refused_until_it_is_whole_again() {
    let world = World::new();
    let adapter = copy(&world, HEALTHY, "adapter");
    let daemon = Daemon::beside(&world, &["--max-models", "3"]);
    let bystander = Bystander::of(&daemon);
    // Not those of the other client: they are to be computed.
    let questions = lines(100..128);
    let expected = in_process(HEALTHY, &questions);
    for (what, harm) in HARMS {
        let mut in_flight = daemon.connect();
        in_flight.begin_chunked(&score_path(&on(&adapter)));
        in_flight.chunk(&questions[0]).unwrap();
        assert_eq!(in_flight.response_head().unwrap().status, 200, "{what}");
        assert_eq!(in_flight.answer_line(), expected[0], "{what}");
        harm(&world);
        let told = daemon.score(&on(&adapter), &questions[1]);
        assert_eq!((told.status, told.code().as_str()), (422, "model"), "{what}: {}", told.body);
        in_flight.chunk(questions[1..].concat()).unwrap();
        in_flight.chunk([]).unwrap();
        let told = in_flight.response_rest();
        assert_eq!((told.whole, told.body), (true, expected[1..].concat()), "{what}");
        copy(&world, HEALTHY, "adapter");
        let told = daemon.score(&on(&adapter), questions.concat());
        assert_eq!((told.status, told.body), (200, expected.concat()), "{what}");
    }
    bystander.noticed_nothing(&daemon);
}

#[test]
fn a_base_that_goes_away_is_refused_and_who_stands_on_it_goes_on() {
    let world = World::new();
    let base = copy(&world, BASE, "base");
    let daemon = Daemon::beside(&world, &["--max-models", "3"]);
    let query = format!("base={base}&adapter={HEALTHY}");
    let questions = lines(0..14);
    let expected = in_process(HEALTHY, &questions);
    let mut in_flight = daemon.connect();
    in_flight.begin_chunked(&score_path(&query));
    in_flight.chunk(&questions[0]).unwrap();
    assert_eq!(in_flight.response_head().unwrap().status, 200);
    in_flight.answer_line();
    fs::File::options().write(true).open(world.path("base/model.safetensors")).unwrap().set_len(500_000).unwrap();
    assert_eq!(daemon.score(&query, &questions[1]).code(), "model");
    fs::remove_dir_all(&base).unwrap();
    assert_eq!(daemon.score(&query, &questions[1]).code(), "model");
    in_flight.chunk(questions[1..].concat()).unwrap();
    in_flight.chunk([]).unwrap();
    assert_eq!(in_flight.response_rest().body, expected[1..].concat());
    // The same base elsewhere is the same model, and it is warm.
    assert_eq!(daemon.score(&on(HEALTHY), questions.concat()).body, expected.concat());
    assert_eq!(daemon.cache("models"), 1);
}

#[test]
fn files_that_change_while_they_are_read_are_refused() {
    let world = World::new();
    let base = copy(&world, BASE, "base");
    let (config, read_late) = (world.path("base/generation_config.json"), world.dir().join("base/tokenizer_config.json"));
    let content = fs::read(&read_late).unwrap();
    make_pipe(&read_late);
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let (query, question) = (format!("base={base}&adapter={HEALTHY}"), lines([0]));
    thread::scope(|scope| {
        let asks = scope.spawn(|| daemon.score(&query, question.concat()));
        until("the load is under way", || daemon.cache("misses") == 1);
        // Blocks until the load has come to it.
        let mut pipe = fs::File::options().write(true).open(&read_late).unwrap();
        fs::write(&config, fs::read(&config).unwrap()).unwrap();
        pipe.write_all(&content).unwrap();
        drop(pipe);
        let told = asks.join().unwrap();
        assert_eq!((told.status, told.code().as_str()), (422, "model"), "{}", told.body);
        assert!(told.message().contains("changed while they were read"), "{}", told.message());
    });
    assert_eq!((daemon.cache("models"), daemon.cache("bytes")), (0, 0));
    fs::remove_file(&read_late).unwrap();
    fs::write(&read_late, &content).unwrap();
    assert_eq!(daemon.score(&query, question.concat()).body, in_process(HEALTHY, &question).concat());
}

#[test]
fn an_adapter_that_is_written_again_and_again_answers_as_one_that_it_was() {
    let world = World::new();
    let adapter = copy(&world, HEALTHY, "adapter");
    let daemon = Daemon::beside::<&str>(&world, &[]);
    let questions = lines((0..40).map(|n| n * 7 + 700));
    let known = [HEALTHY, MEMORISED].map(|trained| in_process(trained, &questions).concat());
    thread::scope(|scope| {
        let asks = scope.spawn(|| (0..60).map(|_| daemon.score(&on(&adapter), questions.concat())).collect::<Vec<_>>());
        for trained in [MEMORISED, HEALTHY].into_iter().cycle() {
            copy(&world, trained, "adapter");
            if asks.is_finished() {
                break;
            }
        }
        for told in asks.join().unwrap() {
            let refused = told.status == 422 && told.code() == "model";
            // The configs of the two are the same, but for the order of a list.
            assert!(refused || known.contains(&told.body), "{}", told.body);
        }
    });
    assert!(daemon.is_healthy());
}
