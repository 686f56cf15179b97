//! Why instances of quiet connections were not put to sleep, for `hotsocket status`.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Guests may give any reason: more than this many are counted as one.
const MAX_REASONS: usize = 16;
const OTHERS: &str = "other reasons";

/// How many instances stay awake now for each reason.
#[derive(Debug, Default)]
pub struct AwakeReasons(Mutex<BTreeMap<String, u64>>);

/// One instance is counted as long as this lives.
#[derive(Debug)]
pub struct StaysAwake {
    reasons: Arc<AwakeReasons>,
    why: String,
}

impl AwakeReasons {
    pub fn count(self: &Arc<Self>, why: &str) -> StaysAwake {
        let mut reasons = self.0.lock();
        let why = match reasons.len() < MAX_REASONS || reasons.contains_key(why) {
            true => why,
            false => OTHERS,
        };
        *reasons.entry(why.to_owned()).or_default() += 1;
        StaysAwake {
            reasons: Arc::clone(self),
            why: why.to_owned(),
        }
    }

    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().clone()
    }
}

impl Drop for StaysAwake {
    fn drop(&mut self) {
        let mut reasons = self.reasons.0.lock();
        if let Some(count) = reasons.get_mut(&self.why) {
            *count -= 1;
            if *count == 0 {
                reasons.remove(&self.why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_bounded_and_forgotten() {
        let reasons = Arc::new(AwakeReasons::default());
        let first = reasons.count("a timer");
        let many: Vec<_> = (0..100).map(|n| reasons.count(&n.to_string())).collect();
        let second = reasons.count("a timer");
        let all = reasons.all();
        assert_eq!(all.len(), MAX_REASONS + 1);
        assert_eq!((all["a timer"], all[OTHERS]), (2, 85));
        drop((first, many));
        assert_eq!(reasons.all(), BTreeMap::from([("a timer".to_owned(), 1)]));
        drop(second);
        assert!(reasons.all().is_empty());
    }
}
