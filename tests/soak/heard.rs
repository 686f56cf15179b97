//! What one speaker has heard of the others: whether each message came once and in order.

use std::collections::BTreeMap;

use super::wire::{Finding, Wrong};

/// See the module's documentation.
#[derive(Default)]
pub struct Heard(BTreeMap<u32, Publisher>);

#[derive(Default)]
struct Publisher {
    /// The highest number, 0 before the first message.
    last: u32,
    /// A number that did not come before the one after it.
    gap: Option<u32>,
    /// Its will has come.
    is_over: bool,
}

impl Heard {
    /// A message came; or a will, which has no number.
    pub fn message(&mut self, id: u32, number: u32, is_will: bool) -> Result<(), Finding> {
        let is_new = !self.0.contains_key(&id);
        let publisher = self.0.entry(id).or_default();
        let error = |wrong, last| {
            let what = if is_will { "the will" } else { "message" };
            let words = format!("{what} {number} of speaker {id} came after {last}");
            Err(Finding { wrong, words })
        };
        let last = publisher.last;
        if publisher.is_over {
            return match is_will {
                true => error(Wrong::Doubled, last),
                false => error(Wrong::Reordered, last),
            };
        }
        if let Some(gap) = publisher.gap.take() {
            return match !is_will && number == gap {
                true => error(Wrong::Reordered, last),
                false => error(Wrong::Lost, gap - 1),
            };
        }
        if is_will {
            publisher.is_over = true;
            return Ok(());
        }
        if number <= last {
            return error(Wrong::Doubled, last);
        }
        // The first that one hears may be any.
        if number > last + 1 && !is_new {
            publisher.gap = Some(last + 1);
        }
        publisher.last = number;
        Ok(())
    }

    /// What has not come of all that was published, and of the wills of those that left.
    pub fn missing(&self, me: u32, published: &BTreeMap<u32, u32>, left: &[u32]) -> Option<String> {
        for (id, number) in published.iter().filter(|(id, _)| **id != me) {
            let last = self.0.get(id).map_or(0, |publisher| publisher.last);
            if last < *number {
                return Some(format!(
                    "of speaker {id} message {number} has not come, but {last}"
                ));
            }
        }
        if let Some((id, gap)) = self.0.iter().find_map(|(id, it)| Some((id, it.gap?))) {
            return Some(format!("message {gap} of speaker {id} has not come"));
        }
        let is_over = |id: &u32| self.0.get(id).is_some_and(|publisher| publisher.is_over);
        let id = left.iter().find(|id| !is_over(id))?;
        Some(format!("the will of speaker {id} has not come"))
    }
}
