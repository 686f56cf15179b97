//! Taps on sessions: of one, or of all, also of those that come later.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Roster;
use crate::tap::Tap;

/// A tap that is attached to sessions; dropping this detaches it.
pub struct Watched {
    roster: Arc<Roster>,
    tap: Arc<Tap>,
}

impl Roster {
    /// Attach a tap to what it shows. `None` if there is no such session.
    pub fn watch(self: &Arc<Self>, tap: Arc<Tap>) -> Option<Watched> {
        // Before the look at who is there: whoever enters after that look sees it.
        self.taps.fetch_add(1, Ordering::AcqRel);
        let watched = Watched {
            roster: Arc::clone(self),
            tap,
        };
        let tap = &watched.tap;
        match tap.connection() {
            Some(id) => {
                let session = self.get(id)?;
                session.attach(tap);
                // It may just have left, and then did not see the tap.
                self.get(id)?;
            }
            None => {
                self.of_all.lock().push(Arc::clone(tap));
                for session in self.all() {
                    session.attach(tap);
                }
            }
        }
        Some(watched)
    }

    /// Whether there is a tap on any session.
    pub fn is_watched(&self) -> bool {
        self.taps.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        match self.tap.connection() {
            Some(id) => {
                if let Some(session) = self.roster.get(id) {
                    session.detach(&self.tap);
                }
            }
            None => {
                let is_other = |tap: &Arc<Tap>| !Arc::ptr_eq(tap, &self.tap);
                self.roster.of_all.lock().retain(is_other);
                for session in self.roster.all() {
                    session.detach(&self.tap);
                }
            }
        }
        self.roster.taps.fetch_sub(1, Ordering::AcqRel);
    }
}
