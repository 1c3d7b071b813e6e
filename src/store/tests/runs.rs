//! What is kept of runs.

use super::*;

fn all(store: &Store, id: RunId) -> RunDetails {
    store.run(id, &Filter::default()).unwrap().unwrap()
}

fn score(case: u32, value: Option<f64>) -> Score {
    Score {
        probe: "facts".to_owned(),
        case,
        sample: 0,
        view: "ft".to_owned(),
        scorer_index: 1,
        scorer: "judge".to_owned(),
        value,
        clamped: Some(1.25),
        error: None,
    }
}

fn verdict(probe: &str, position: u32) -> Verdict {
    Verdict {
        probe: probe.to_owned(),
        kind: "pipeline".to_owned(),
        verdict: "pass".to_owned(),
        score: Some(0.25),
        message: "fine".to_owned(),
        position,
    }
}

#[test]
fn a_run_is_told_as_it_was_written() {
    let home = Home::new();
    let store = home.open();
    let mut run = store.begin(&new_run(Mode::Refresh), minute(0)).unwrap();
    let id = run.id();
    assert_eq!(store.runs(1).unwrap()[0].status, Status::Pending);
    run.start("{\"base\":\"llama\"}", minute(1)).unwrap();
    assert_eq!(store.runs(1).unwrap()[0].status, Status::Running);
    assert_eq!(run.models(), Some("{\"base\":\"llama\"}"));
    let error = Stage { response: None, error: Some("timeout".to_owned()), ..stage(1, "q1") };
    let cached = Stage { cached: true, tokens_in: Some(u32::MAX), sample: 1, ..stage(1, "q1") };
    let second = Stage { stage: 1, ..stage(0, "q0 again") };
    let stages = [stage(0, "q0"), second, error, cached];
    let scores = [score(0, Some(-0.1)), score(1, None)];
    let verdicts = [verdict("zebra", 0), verdict("facts", 1)];
    let mut rows: Vec<_> = stages.iter().cloned().map(Row::Stage).collect();
    rows.extend(scores.iter().cloned().map(Row::Score));
    rows.extend(verdicts.iter().rev().cloned().map(Row::Verdict));
    run.write(&rows, minute(2)).unwrap();
    assert_eq!(all(&store, id).summary.totals, None, "in progress");
    let end = Finish {
        status: Finished::Completed,
        record: Some("{\"all\":true}".to_owned()),
        error: None,
        verdict: Some("pass".to_owned()),
    };
    let totals = run.finish(&end, minute(3)).unwrap();
    let tokens_in = 30 + u64::from(u32::MAX);
    assert_eq!(totals, Totals { tokens_in, tokens_out: 12, requests: 4, cached: 1, wall_s: 180.0 });
    let summary = RunSummary {
        id,
        status: Status::Completed,
        mode: Mode::Refresh,
        suite: "suite.toml".to_owned(),
        suite_digest: "d1".to_owned(),
        created: minute(0),
        started: Some(minute(1)),
        completed: Some(minute(3)),
        totals: Some(totals),
        verdict: Some("pass".to_owned()),
        error: None,
    };
    let details = RunDetails {
        summary: summary.clone(),
        options: "{\"seed\":1}".to_owned(),
        models: Some("{\"base\":\"llama\"}".to_owned()),
        record: Some("{\"all\":true}".to_owned()),
        stages: stages.to_vec(),
        scores: scores.to_vec(),
        verdicts: verdicts.to_vec(),
    };
    assert_eq!(all(&store, id), details);
    assert_eq!(store.runs(10).unwrap(), [summary]);
    let case = store.run(id, &Filter { probe: Some("facts".to_owned()), case: Some(1) }).unwrap().unwrap();
    assert_eq!((case.stages, case.scores, case.verdicts), (stages[2..].to_vec(), scores[1..].to_vec(), verdicts[1..].to_vec()));
    let other = store.run(id, &Filter { probe: Some("zebra".to_owned()), case: None }).unwrap().unwrap();
    assert_eq!((other.stages.len(), other.scores.len(), other.verdicts.len()), (0, 0, 1));
    assert_eq!(store.run(RunId(2), &Filter::default()).unwrap(), None);
    store.integrity_check().unwrap();
}

#[test]
fn rows_of_the_same_place_are_replaced() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let first = Stage { tokens_out: Some(1), ..stage(0, "q") };
    run.write(&[Row::Stage(first), Row::Score(score(0, None)), Row::Verdict(verdict("facts", 3))], minute(0)).unwrap();
    run.write(&[Row::Stage(stage(0, "q")), Row::Score(score(0, Some(2.0))), Row::Verdict(verdict("facts", 4))], minute(0))
        .unwrap();
    let details = all(&store, run.id());
    assert_eq!((details.stages, details.scores), (vec![stage(0, "q")], vec![score(0, Some(2.0))]));
    assert_eq!(details.verdicts, [verdict("facts", 4)]);
}

#[test]
fn a_resumed_run_keeps_stages_that_are_right_already() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let id = run.id();
    let failed = Stage { error: Some("timeout".to_owned()), response: None, ..stage(1, "q1") };
    run.write(&[Row::Stage(stage(0, "q0")), Row::Stage(failed), Row::Stage(stage(2, "q2"))], minute(2)).unwrap();
    drop(run);
    let run = store.resume(id, minute(10)).unwrap();
    let again = |case, prompt: &str| Stage { tokens_in: Some(99), cached: true, ..stage(case, prompt) };
    run.write(&[again(0, "q0"), again(1, "q1"), again(2, "changed"), again(3, "q3")].map(Row::Stage), minute(11)).unwrap();
    let expected = [stage(0, "q0"), again(1, "q1"), again(2, "changed"), again(3, "q3")];
    assert_eq!(all(&store, id).stages, expected);
    let totals = run.finish(&finish(Finished::Completed), minute(13)).unwrap();
    // 2 minutes until the first process last wrote, and 3 of the second.
    assert_eq!(totals, Totals { tokens_in: 10 + 3 * 99, tokens_out: 12, requests: 4, cached: 3, wall_s: 300.0 });
}

#[test]
fn a_run_is_resumed_by_one_at_a_time_and_not_when_it_is_complete() {
    let home = Home::new();
    let (store, other) = (home.open(), home.open());
    let mut run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let id = run.id();
    run.start("m", minute(0)).unwrap();
    for store in [&store, &other] {
        let refusal = store.resume(id, minute(1)).err().unwrap();
        assert_eq!(refusal.to_string(), "run 1 is in progress");
        assert_eq!(store.runs(1).unwrap()[0].status, Status::Running);
        assert_eq!(store.latest_resumable(None, None).unwrap(), None);
    }
    drop(run);
    let listed = &other.runs(1).unwrap()[0];
    assert_eq!((listed.status, listed.completed), (Status::Interrupted, None));
    let run = other.resume(id, minute(2)).unwrap();
    assert_eq!(run.models(), Some("m"));
    assert_eq!(store.runs(1).unwrap()[0].status, Status::Pending);
    run.finish(&Finish { error: Some("no GPU".to_owned()), ..finish(Finished::Failed) }, minute(3)).unwrap();
    assert_eq!(store.latest_resumable(None, None).unwrap().unwrap().error.as_deref(), Some("no GPU"));
    let run = store.resume(id, minute(4)).unwrap();
    run.finish(&finish(Finished::Completed), minute(5)).unwrap();
    assert_eq!(store.resume(id, minute(6)).err().unwrap().to_string(), "run 1 is complete");
    let unknown = store.resume(RunId(9), minute(6)).err().unwrap();
    assert_eq!(unknown.to_string(), format!("run 9 is not in the store {}", home.path().display()));
    assert!(!home.names().iter().any(|name| name.contains(".lock")), "{:?}", home.names());
}

#[test]
fn the_latest_run_that_can_be_resumed_is_of_the_suite_that_was_asked_for() {
    let home = Home::new();
    let store = home.open();
    let begin = |digest: &str| {
        let new = NewRun { suite_digest: digest.to_owned(), ..new_run(Mode::Shared) };
        store.begin(&new, minute(0)).unwrap()
    };
    let ids = ["a", "a", "b", "a"].map(|digest| begin(digest).id());
    store.resume(ids[3], minute(1)).unwrap().finish(&finish(Finished::Completed), minute(1)).unwrap();
    let latest = |digest| store.latest_resumable(digest, None).unwrap().map(|run| run.id);
    assert_eq!(
        [latest(None), latest(Some("a")), latest(Some("b")), latest(Some("c"))],
        [Some(ids[2]), Some(ids[1]), Some(ids[2]), None]
    );
    assert_eq!(store.runs(2).unwrap().iter().map(|run| run.id).collect::<Vec<_>>(), [ids[3], ids[2]]);
}

#[test]
fn numbers_that_sql_would_lose_are_refused_by_name() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let bad_stage = Row::Stage(Stage { latency_ms: f64::INFINITY, ..stage(1, "q") });
    let bad_verdict = Row::Verdict(Verdict { score: Some(f64::NAN), ..verdict("p", 0) });
    for (row, what) in
        [(bad_stage, "latency"), (Row::Score(score(0, Some(f64::NAN))), "score"), (bad_verdict, "score of a verdict")]
    {
        let error = run.write(&[Row::Stage(stage(0, "q")), row], minute(0)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("the {what} is ")), "{error}");
    }
    assert_eq!(all(&store, run.id()).stages, [], "all of a batch or none");
}

#[test]
fn a_clock_that_is_set_back_takes_no_time_away() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Shared), minute(10)).unwrap();
    let id = run.id();
    run.write(&[], minute(12)).unwrap();
    drop(run);
    let run = store.resume(id, minute(5)).unwrap();
    let totals = run.finish(&finish(Finished::Interrupted), minute(4)).unwrap();
    assert!((totals.wall_s - 120.0).abs() < 1e-9);
}
