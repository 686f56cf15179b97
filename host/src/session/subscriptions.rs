//! The subscriptions of a connection, in the order in which they were made, and how many
//! there may be (`--max-subscriptions`). The index that all connections share is in
//! [`crate::topics`].

use hotsocket_sandbox::Delivery;

use crate::topics::is_exact;

/// A pattern takes a node of the index for each of its tokens, so that one of more than
/// this counts as several subscriptions.
const TOKENS: usize = 16;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    /// What they count as, together.
    weight: usize,
}

struct Subscription {
    pattern: Box<str>,
    /// Counts up: see [`crate::topics::Subscriber`].
    number: u32,
    delivery: Delivery,
}

impl Subscriptions {
    /// Add one, or change how its messages come. Returns its number; `None` if there may be no more.
    pub fn add(&mut self, pattern: &str, delivery: Delivery, max: usize) -> Option<u32> {
        let mut all = self.all.iter_mut();
        if let Some(known) = all.find(|known| *known.pattern == *pattern) {
            known.delivery = delivery;
            return Some(known.number);
        }
        let weight = self.weight + weight(pattern);
        if weight > max {
            return None;
        }
        self.weight = weight;
        let number = self.all.last().map_or(0, |last| last.number) + 1;
        // Most connections have one or two, for long.
        self.all.reserve_exact(1);
        self.all.push(Subscription {
            pattern: pattern.into(),
            number,
            delivery,
        });
        Some(number)
    }

    /// Whether it was there.
    pub fn remove(&mut self, pattern: &str) -> bool {
        let count = self.all.len();
        self.all.retain(|known| *known.pattern != *pattern);
        let was_there = self.all.len() < count;
        if was_there {
            self.weight -= weight(pattern);
        }
        was_there
    }

    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|subscription| &*subscription.pattern)
    }

    /// Whether the guest is called with messages of any.
    pub fn has_events(&self) -> bool {
        let mut all = self.all.iter();
        all.any(|subscription| subscription.delivery == Delivery::Event)
    }
}

/// What a subscription counts as.
fn weight(pattern: &str) -> usize {
    match is_exact(pattern) {
        true => 1,
        false => pattern.split('.').count().div_ceil(TOKENS),
    }
}
