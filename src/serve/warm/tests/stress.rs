//! Everything at once, and nothing left of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const THREADS: u64 = 8;
const STEPS: usize = 300;
const LIMITS: Bounds = Bounds { max_models: 3, max_bytes: Some(100) };

/// Counts over all models.
#[derive(Default)]
struct Counts {
    loaded: AtomicU64,
    closed: AtomicU64,
    dropped: AtomicU64,
    /// Of the models that exist.
    bytes: AtomicU64,
}

struct Counted {
    counts: Arc<Counts>,
    bytes: u64,
    is_closed: AtomicBool,
}

impl Counted {
    fn new(counts: &Arc<Counts>, bytes: u64) -> Self {
        counts.loaded.fetch_add(1, Ordering::SeqCst);
        let alive = counts.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        assert!(alive <= LIMITS.max_bytes.unwrap(), "{alive} bytes at a time");
        Self { counts: counts.clone(), bytes, is_closed: AtomicBool::new(false) }
    }

    fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.dropped.fetch_add(1, Ordering::SeqCst);
        self.counts.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

impl Resident for Counted {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn shared(&self) -> Option<Shared> {
        None
    }

    fn close(&self) -> Result<(), String> {
        assert!(self.is_open(), "closed twice");
        self.is_closed.store(true, Ordering::SeqCst);
        let before = self.counts.closed.fetch_add(1, Ordering::SeqCst);
        if before.is_multiple_of(5) { Err("stuck".to_owned()) } else { Ok(()) }
    }
}

/// A load that makes room for all it brings, in one go or in two, and sometimes fails.
fn load(room: &Room<'_, Counted>, counts: &Arc<Counts>, content: u64, draw: u32) -> Result<(Key, Counted), String> {
    let bytes = 10 + 8 * content;
    let make = |bytes| room.make(bytes).map_err(|error| error.to_string());
    if draw.is_multiple_of(3) {
        make(bytes / 2)?;
        thread::yield_now();
        make(bytes - bytes / 2)?;
    } else {
        make(bytes)?;
    }
    match draw {
        0..5 => Err("no such file".to_owned()),
        5 => panic!("no such luck"),
        _ => Ok((Key::new(content.to_string()), Counted::new(counts, bytes))),
    }
}

fn act(models: &WarmModels<Counted, String>, counts: &Arc<Counts>, random: &mut ChaCha8Rng) {
    let (content, spelled, draw) = (random.random_range(0..8_u64), random.random_range(0..2), random.random_range(0..100_u32));
    let key = Key::new(content.to_string());
    match random.random_range(0..100) {
        0 => models.evict_all(),
        1..6 => {
            models.evict(&key);
        }
        6..9 => {
            models.evict_idle(Instant::now(), Duration::ZERO);
        }
        9..12 => assert!(models.list().len() <= models.stats().misses as usize),
        _ => {
            let asked = Spelling::new(format!("{content} {spelled}"));
            let lease =
                models.peek(&asked).map_or_else(|| models.get_or_load(&asked, |room| load(room, counts, content, draw)), Ok);
            if let Ok(lease) = lease {
                let other = lease.clone();
                assert_eq!(Lease::key(&lease), &key);
                assert!(lease.is_open());
                drop(lease);
                thread::yield_now();
                assert!(other.is_open());
            }
        }
    }
}

#[test]
fn threads_at_random_leak_nothing_and_never_exceed_the_limits() {
    let counts = Arc::new(Counts::default());
    let logged = Arc::new(AtomicU64::new(0));
    let lines = logged.clone();
    let log: Log = Arc::new(move |line| {
        assert!(line.contains("close raised stuck"));
        lines.fetch_add(1, Ordering::SeqCst);
    });
    let models = WarmModels::<Counted, String>::new(LIMITS, log).unwrap();
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let (models, counts) = (&models, &counts);
            scope.spawn(move || {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                (0..STEPS).for_each(|_| act(models, counts, &mut random));
            });
        }
    });

    let now = |count: &AtomicU64| count.load(Ordering::SeqCst);
    let stats = models.stats();
    assert!(stats.models <= LIMITS.max_models && stats.bytes <= 100);
    assert_eq!((stats.leaving, stats.reserved, stats.bytes), (0, 0, now(&counts.bytes)));
    assert!(models.list().iter().all(|model| model.leases == 0));
    assert_eq!(now(&counts.loaded), stats.misses - stats.failures);
    assert!(now(&counts.loaded) > 0 && stats.failures > 0 && stats.evictions > 0 && stats.hits > 0);

    models.evict_all();
    assert_eq!(models.stats().bytes, 0);
    assert_eq!(now(&counts.closed), now(&counts.loaded));
    assert_eq!(now(&counts.dropped), now(&counts.loaded));
    assert_eq!(now(&logged), now(&counts.closed).div_ceil(5));
}
