//! What becomes a store, what is one, and what is refused.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::*;

/// Refused, and left as it was.
fn refused(path: &Path) -> StoreError {
    let before = fs::read(path).ok();
    let error = Store::open(path).err().unwrap();
    assert!(fs::read(path).ok() == before, "{error}");
    error
}

const LATER: Migrations = Migrations(&[
    include_str!("../migrations/1.sql"),
    include_str!("../migrations/2.sql"),
    "CREATE TABLE extra (n INTEGER) STRICT; INSERT INTO extra SELECT count(*) FROM responses;",
    "CREATE INDEX extra_by_n ON extra (n);",
]);

#[cfg(unix)]
#[test]
fn a_new_store_and_its_folder_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let path = home.dir.path().join("a/b/sway.db");
    let store = Store::open(&path).unwrap();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for folder in [path.parent().unwrap(), &home.dir.path().join("a")] {
        assert_eq!(mode(folder), 0o700);
    }
    for name in ["sway.db", "sway.db-wal", "sway.db-shm", "sway.db-run-1.lock"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    drop(run);
    assert_eq!(store.path(), path);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let home = Home::new();
    fs::write(home.path(), "").unwrap();
    home.open().put_fact(&key(1), "a", "b", minute(0)).unwrap();
    assert!(home.open().get_fact(&key(1), minute(0)).unwrap().is_some());
}

#[test]
fn a_path_may_hold_whatever_a_path_may_hold() {
    let home = Home::new();
    for name in ["a b", "ä?c#d", "100%25", ":memory:", "file:x", "a'b\"", "-x"] {
        for _ in 0..2 {
            let store = Store::open(&home.dir.path().join(name)).unwrap();
            store.put_fact(&key(1), "a", "b", minute(0)).unwrap();
        }
        assert!(home.dir.path().join(name).metadata().unwrap().len() > 0, "{name}");
    }
    assert_eq!(home.names().len(), 7);
}

#[test]
fn what_is_no_store_is_refused_by_what_it_is() {
    let home = Home::new();
    assert!(matches!(refused(home.dir.path()), StoreError::Folder { .. }));
    assert_eq!(home.names(), Vec::<String>::new());

    let path = home.path();
    for bytes in [b"x".to_vec(), vec![0; 4096], b"not a database, but long enough to be taken for one ".repeat(200)] {
        fs::write(&path, bytes).unwrap();
        let error = refused(&path);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let told = format!(
            "the store {} can't be read: file is not a database\nhint: move it away, or give another one with --store FILE",
            path.display()
        );
        assert_eq!(error.to_string(), told);
    }
    let inside = path.join("sway.db");
    assert!(matches!(refused(&inside), StoreError::Create { .. }), "a file where its folder should be");
    assert_eq!(home.names(), ["sway.db"]);
}

#[test]
fn a_database_of_another_program_is_refused() {
    for sql in [
        "CREATE TABLE t (x); INSERT INTO t VALUES (1)",
        "PRAGMA application_id = 7; CREATE TABLE t (x)",
        "PRAGMA user_version = 3",
        "CREATE TABLE t (x); DROP TABLE t",
    ] {
        let home = Home::new();
        Connection::open(home.path()).unwrap().execute_batch(sql).unwrap();
        let error = refused(&home.path());
        assert!(matches!(error, StoreError::Foreign { .. }), "{sql}: {error}");
        assert_eq!(home.names(), ["sway.db"]);
    }
}

#[test]
fn the_log_of_another_programs_database_is_left_alone_too() {
    let home = Home::new();
    let writer = Connection::open(home.path()).unwrap();
    writer.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
    // As if it had crashed: a copy of the file and its log, which nobody has open.
    let copy = Home::new();
    for name in ["sway.db", "sway.db-wal"] {
        fs::copy(home.dir.path().join(name), copy.dir.path().join(name)).unwrap();
    }
    let log = fs::read(copy.dir.path().join("sway.db-wal")).unwrap();
    assert!(matches!(refused(&copy.path()), StoreError::Foreign { .. }));
    assert!(fs::read(copy.dir.path().join("sway.db-wal")).unwrap() == log);
    assert_eq!(copy.names(), ["sway.db", "sway.db-wal"]);
}

#[test]
fn every_older_format_becomes_the_latest() {
    for version in 1..LATER.0.len() {
        let home = Home::new();
        let old = Store::open_with(&home.path(), Migrations(&LATER.0[..version])).unwrap();
        old.responses(HOUR).put(&[(key(1), response(1, 10))], minute(0)).unwrap();
        drop(old);
        let new = Store::open_with(&home.path(), LATER).unwrap();
        new.integrity_check().unwrap();
        assert_eq!(new.responses(HOUR).get(&[key(1)], minute(0)).unwrap(), [Some(response(1, 10))]);
        let version: i64 = new.bare(|db| db.pragma_query_value(None, "user_version", |row| row.get(0))).unwrap();
        assert_eq!(version, LATER.latest());
    }
}

#[test]
fn a_migration_that_fails_leaves_the_store_as_it_was() {
    const BROKEN: Migrations = Migrations(&[
        include_str!("../migrations/1.sql"),
        include_str!("../migrations/2.sql"),
        "CREATE TABLE extra (n INTEGER); INSERT INTO nothing VALUES (1);",
    ]);
    let home = Home::new();
    drop(home.open());
    let before = fs::read(home.path()).unwrap();
    assert!(Store::open_with(&home.path(), BROKEN).is_err());
    assert!(fs::read(home.path()).unwrap() == before);
    home.open().integrity_check().unwrap();
}

#[test]
fn a_store_that_could_not_be_made_leaves_an_empty_file_which_can_still_become_one() {
    const BROKEN: Migrations = Migrations(&["CREATE TABLE extra (n INTEGER); INSERT INTO nothing VALUES (1);"]);
    let home = Home::new();
    assert!(Store::open_with(&home.path(), BROKEN).is_err());
    assert_eq!(home.path().metadata().unwrap().len(), 0, "not even a first page without the mark of a store");
    home.open().integrity_check().unwrap();
}

#[test]
fn a_newer_store_is_refused() {
    let home = Home::new();
    drop(Store::open_with(&home.path(), LATER).unwrap());
    let error = refused(&home.path());
    let told = format!(
        "the store {} has format 4, and this sway knows none after 2\nhint: use the newer sway, or give another store with --store FILE",
        home.path().display()
    );
    assert_eq!(error.to_string(), told);
}

#[test]
fn a_store_whose_newer_format_is_only_in_its_log_is_refused_and_the_log_kept() {
    let home = Home::new();
    let old = home.open();
    let newer = Store::open_with(&home.path(), LATER).unwrap();
    let log = home.dir.path().join("sway.db-wal");
    let copy = Home::new();
    fs::copy(home.path(), copy.path()).unwrap();
    fs::copy(&log, copy.dir.path().join("sway.db-wal")).unwrap();
    assert!(matches!(refused(&copy.path()), StoreError::Newer { .. }));
    assert!(fs::read(copy.dir.path().join("sway.db-wal")).unwrap() == fs::read(log).unwrap());
    let error = old.put_fact(&key(1), "a", "b", minute(0)).unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "one that was open before does not write to it either");
    drop(newer);
}

#[test]
fn what_is_marked_read_only_is_refused() {
    let home = Home::new();
    drop(home.open());
    let set = |path: &Path, readonly| {
        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_readonly(readonly);
        fs::set_permissions(path, permissions).unwrap();
    };
    set(&home.path(), true);
    let error = refused(&home.path());
    let told = format!(
        "can't write to the store {}: the file is read-only\nhint: give another one with --store FILE",
        home.path().display()
    );
    assert_eq!(error.to_string(), told);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        set(&home.path(), false);
        fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
        let error = refused(&home.path());
        let missing = refused(&home.dir.path().join("other.db"));
        fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(error, StoreError::Access { .. }) && error.to_string().contains("its folder is read-only"), "{error}");
        assert!(matches!(missing, StoreError::Create { .. }), "{missing}");
        assert_eq!(home.names(), ["sway.db"]);
    }
}

#[cfg(unix)]
#[test]
fn a_store_with_two_names_is_one() {
    let home = Home::new();
    let store = home.open();
    let link = home.dir.path().join("link.db");
    std::os::unix::fs::symlink(home.path(), &link).unwrap();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    let other = Store::open(&link).unwrap();
    assert!(matches!(other.resume(run.id(), minute(0)), Err(StoreError::RunInProgress { .. })));
}

#[test]
fn sums_that_are_wrong_are_found() {
    for sql in [
        "UPDATE response_sizes SET bytes = bytes + 1",
        "INSERT INTO response_sizes VALUES (7, 1, 1)",
        "DELETE FROM response_sizes",
    ] {
        let home = Home::new();
        home.open().responses(HOUR).put(&[(key(1), response(1, 10))], minute(0)).unwrap();
        Connection::open(home.path()).unwrap().execute_batch(sql).unwrap();
        let error = home.open().integrity_check().unwrap_err();
        assert!(error.to_string().contains("the sums of the responses are wrong"), "{sql}: {error}");
    }
}

#[test]
fn a_schema_that_was_changed_by_hand_is_refused() {
    for sql in ["DROP TRIGGER responses_deleted", "CREATE TABLE more (x)", "DROP INDEX responses_by_use"] {
        let home = Home::new();
        drop(home.open());
        let db = Connection::open(home.path()).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        assert!(refused(&home.path()).to_string().contains("its schema is not that of format 2"), "{sql}");
    }
}
