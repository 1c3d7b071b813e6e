//! How far runs had come.

use super::*;

#[test]
fn the_last_checkpoint_is_there_for_whoever_resumes_and_gone_once_the_run_is_complete() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let id = run.id();
    assert_eq!(run.checkpoints().last().unwrap(), None);
    for state in [vec![1], vec![2; 100_000], Vec::new()] {
        run.checkpoints().keep(&state, minute(1)).unwrap();
        assert_eq!(run.checkpoints().last().unwrap(), Some(state));
    }
    let other = store.begin(&new_run(Mode::Shared), minute(1)).unwrap();
    assert_eq!(other.checkpoints().last().unwrap(), None, "each run has its own");
    run.checkpoints().keep(b"far", minute(2)).unwrap();
    drop(run);

    let store = home.open();
    let run = store.resume(id, minute(3)).unwrap();
    assert_eq!(run.checkpoints().last().unwrap(), Some(b"far".to_vec()));
    let checkpoints = run.checkpoints();
    let done = |status| Finish { status, record: None, error: None, verdict: None };
    run.finish(&done(Finished::Failed), minute(4)).unwrap();
    assert_eq!(checkpoints.last().unwrap(), Some(b"far".to_vec()));
    store.resume(id, minute(5)).unwrap().finish(&done(Finished::Completed), minute(6)).unwrap();
    assert_eq!(checkpoints.last().unwrap(), None);
}

#[test]
fn a_checkpoint_that_is_not_what_was_written_is_refused() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    run.checkpoints().keep(b"state", minute(0)).unwrap();
    store.bare(|db| db.execute("UPDATE checkpoints SET state = x'737461746f'", [])).unwrap();
    let error = run.checkpoints().last().unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}
