//! The patterns that this node subscribes to at NATS: those with a connection that has
//! subscribed here, each once.
//!
//! Connections note what changes; one task carries it out, in its own time. What changes
//! back meanwhile is forgotten, so no more is kept than there are patterns.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// See the module's documentation.
#[derive(Default)]
pub struct Interest {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// What has been subscribed to, with the task that receives.
    active: HashMap<Box<str>, Option<AbortHandle>>,
    /// What is active and not wanted any more, or wanted and not active yet.
    due: HashSet<Box<str>>,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Change {
    Subscribe(Box<str>),
    /// End the task that receives.
    Unsubscribe(Option<AbortHandle>),
}

impl Interest {
    /// Connections of this node have subscribed to a pattern, or none has any more.
    pub fn note(&self, pattern: &str, is_wanted: bool) {
        let mut state = self.state.lock();
        if state.active.contains_key(pattern) == is_wanted {
            state.due.remove(pattern);
        } else {
            state.due.insert(pattern.into());
            self.changed.notify_one();
        }
    }

    /// Wait for something to do. One task does this, and has done it when it asks again.
    pub async fn next(&self) -> Change {
        loop {
            if let Some(change) = self.take() {
                return change;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Change> {
        let mut state = self.state.lock();
        let pattern = state.due.iter().next()?.clone();
        state.due.remove(&pattern);
        if state.due.is_empty() {
            state.due = HashSet::new();
        }
        Some(match state.active.remove(&pattern) {
            Some(task) => Change::Unsubscribe(task),
            None => {
                state.active.insert(pattern.clone(), None);
                Change::Subscribe(pattern)
            }
        })
    }

    /// A pattern that [`Self::next`] said to subscribe to is received by this task.
    pub fn received_by(&self, pattern: &str, task: AbortHandle) {
        if let Some(active) = self.state.lock().active.get_mut(pattern) {
            *active = Some(task);
        }
    }

    /// How many patterns this node has subscribed to at NATS.
    pub fn len(&self) -> usize {
        self.state.lock().active.len()
    }

    /// The tasks that receive.
    pub fn tasks(&self) -> Vec<AbortHandle> {
        self.state
            .lock()
            .active
            .values()
            .flatten()
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_back_is_forgotten() {
        let interest = Interest::default();
        interest.note("a", true);
        interest.note("a", false);
        assert!(interest.take().is_none());
        interest.note("a", true);
        assert!(matches!(interest.take(), Some(Change::Subscribe(it)) if &*it == "a"));
        // While it is being subscribed to.
        interest.note("a", false);
        interest.note("a", true);
        assert!(interest.take().is_none());
        interest.note("a", false);
        assert!(matches!(interest.take(), Some(Change::Unsubscribe(None))));
        assert_eq!((interest.len(), interest.take().is_none()), (0, true));
    }
}
