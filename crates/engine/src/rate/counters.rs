//! A bounded map of counters by key.
//!
//! Not here: what a counter counts. Invariant: at most `keys_max` keys are counted. A full map
//! drops blank counters, once a second at most: a flood must not make every call walk through all
//! keys.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The count of one key.
pub(crate) trait Counter: Clone {
    /// Whether it answers like a new counter from now on, so that it can be dropped.
    fn is_blank(&mut self, now: Duration) -> bool;
}

/// Counters by key.
#[derive(Debug)]
pub(crate) struct Counters<K, C> {
    keys_max: usize,
    blank: C,
    counts: Mutex<Counts<K, C>>,
}

#[derive(Debug)]
struct Counts<K, C> {
    by_key: HashMap<K, C>,
    swept_s: u64,
}

impl<K: Eq + Hash, C: Counter> Counters<K, C> {
    /// A key that is not known yet begins with a copy of `blank`.
    pub(crate) fn new(keys_max: usize, blank: C) -> Counters<K, C> {
        let counts = Mutex::new(Counts { by_key: HashMap::new(), swept_s: 0 });
        Counters { keys_max, blank, counts }
    }

    /// Runs `count` on the counter of a key. `None`: the map is full, and the key is not in it.
    pub(crate) fn count<T>(
        &self,
        key: K,
        now: Duration,
        count: impl FnOnce(&mut C) -> T,
    ) -> Option<T> {
        let mut counts = self.counts.lock();
        if counts.is_full_for(&key, self.keys_max, now) {
            return None;
        }
        Some(count(counts.by_key.entry(key).or_insert_with(|| self.blank.clone())))
    }

    /// The same; a full map forgets any other key.
    pub(crate) fn count_or_evict<T>(
        &self,
        key: K,
        now: Duration,
        count: impl FnOnce(&mut C) -> T,
    ) -> T
    where
        K: Clone,
    {
        let mut counts = self.counts.lock();
        if counts.is_full_for(&key, self.keys_max, now)
            && let Some(other) = counts.by_key.keys().next().cloned()
        {
            counts.by_key.remove(&other);
        }
        count(counts.by_key.entry(key).or_insert_with(|| self.blank.clone()))
    }

    /// Runs `change` on the counter of a key; `None` if it has none.
    pub(crate) fn change<T>(&self, key: &K, change: impl FnOnce(&mut C) -> T) -> Option<T> {
        self.counts.lock().by_key.get_mut(key).map(change)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.counts.lock().by_key.len()
    }
}

impl<K: Eq + Hash, C: Counter> Counts<K, C> {
    fn is_full_for(&mut self, key: &K, keys_max: usize, now: Duration) -> bool {
        if self.by_key.len() >= keys_max && self.swept_s != now.as_secs() {
            self.by_key.retain(|_, counter| !counter.is_blank(now));
            self.swept_s = now.as_secs();
        }
        self.by_key.len() >= keys_max && !self.by_key.contains_key(key)
    }
}
