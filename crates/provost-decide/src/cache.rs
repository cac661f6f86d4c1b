//! A bounded memory of values that are dear to make and needed again.

use std::{
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{Mutex, PoisonError},
};

/// Keeps what was used lately: two generations, of which the older is forgotten whole when the
/// younger is full. Less exact than least-recently-used, with no bookkeeping on a hit.
pub(crate) struct Recent<K, V> {
    /// Most weight in each generation.
    weight_max: usize,
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    /// Sum of the weights in `young`.
    weight: usize,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// Holds at most twice `weight_max`.
    pub(crate) fn new(weight_max: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), weight: 0 };
        Self { weight_max, generations: Mutex::new(generations) }
    }

    /// The value for `key`, made by `make` if it is not held. What weighs more than a
    /// generation holds is made and not kept.
    pub(crate) fn get_or_make(
        &self,
        key: K,
        weigh: impl FnOnce(&V) -> usize,
        make: impl FnOnce() -> V,
    ) -> V {
        if let Some(value) = self.get(&key) {
            return value;
        }
        // Made without the lock: two callers may both make it, and neither waits.
        let value = make();
        let weight = weigh(&value).max(1);
        if weight <= self.weight_max {
            self.lock().insert(key, (value.clone(), weight), self.weight_max);
        }
        value
    }

    fn get(&self, key: &K) -> Option<V> {
        let mut generations = self.lock();
        if let Some((value, _)) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, entry) = generations.old.remove_entry(key)?;
        let value = entry.0.clone();
        generations.insert(key, entry, self.weight_max);
        Some(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Generations<K, V>> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn insert(&mut self, key: K, entry: (V, usize), weight_max: usize) {
        let weight = entry.1;
        if self.weight.saturating_add(weight) > weight_max {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        match self.young.insert(key, entry) {
            // Another caller made it meanwhile: the same value, of the same weight.
            Some(_) => {}
            None => self.weight = self.weight.saturating_add(weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::Recent;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let recent = Recent::new(2);
        let made = Cell::new(0);
        let ask = |key: u32| {
            recent.get_or_make(
                key,
                |_| 1,
                || {
                    made.set(made.get() + 1);
                    key * 10
                },
            )
        };
        for round in 0..10 {
            assert_eq!(ask(1), 10, "round = {round}");
            ask(100 + round); // passes through
        }
        assert_eq!(made.get(), 11, "key 1 was made once");
        let generations = recent.lock();
        let held = generations.young.len() + generations.old.len();
        assert!(held <= 4, "held = {held}");
    }

    #[test]
    fn what_is_too_heavy_is_made_each_time() {
        let recent = Recent::new(2);
        assert_eq!(recent.get_or_make("a", |_| 3, || 1), 1);
        assert_eq!(recent.get_or_make("a", |_| 3, || 2), 2);
    }
}
