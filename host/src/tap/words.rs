//! What an event asked for, in words.

use hotsocket_sandbox::{Delivery, Effects, SessionRequests, TopicRequest};

use super::record::MAX_EFFECTS;
use crate::duration;

/// The effects of an event but for what it has written, in the order in which they are
/// applied; the first [`MAX_EFFECTS`] of them.
pub fn in_words(effects: &Effects) -> Vec<String> {
    let mut words = Words::default();
    for (id, after) in &effects.timers {
        words.add(|| match after {
            Some(after) => format!("timer {id} in {}", duration::show(*after)),
            None => format!("clear timer {id}"),
        });
    }
    let flags = [
        (effects.abort, "abort"),
        (effects.hold_open, "hold open"),
        (effects.awaits_drained, "wait for drained"),
        (
            effects.awaits_empty,
            "write was full: wait until nothing is queued",
        ),
        (effects.end, "end"),
    ];
    if let Some(requests) = &effects.session {
        words.of_session(requests);
    }
    for (is_set, what) in flags {
        if is_set {
            words.add(|| what.to_owned());
        }
    }
    words.end()
}

#[derive(Default)]
struct Words {
    words: Vec<String>,
    /// Beyond those that are shown.
    more: usize,
}

impl Words {
    fn add(&mut self, word: impl FnOnce() -> String) {
        match self.words.len() < MAX_EFFECTS {
            true => self.words.push(word()),
            false => self.more += 1,
        }
    }

    fn of_session(&mut self, requests: &SessionRequests) {
        for request in &requests.topics {
            self.add(|| of_topics(request));
        }
        if let Some(reading) = requests.reading {
            self.add(|| if reading { "resume" } else { "pause" }.to_owned());
        }
        if requests.checkpoint {
            self.add(|| "checkpoint".to_owned());
        }
        if requests.start_tls.is_some() {
            self.add(|| "start TLS".to_owned());
        }
        if let Some(label) = &requests.label {
            self.add(|| match label.as_str() {
                "" => "no label".to_owned(),
                label => format!("label {label}"),
            });
        }
    }

    fn end(mut self) -> Vec<String> {
        if self.more > 0 {
            self.words.push(format!("and {} more", self.more));
        }
        self.words
    }
}

fn of_topics(request: &TopicRequest) -> String {
    match request {
        TopicRequest::Subscribe {
            pattern, delivery, ..
        } => match delivery {
            Delivery::Event => format!("subscribe {pattern}"),
            Delivery::Direct => format!("subscribe {pattern} directly"),
        },
        TopicRequest::Unsubscribe(pattern) => format!("unsubscribe {pattern}"),
        TopicRequest::Publish(message) => {
            format!("publish {} ({} bytes)", message.topic, message.bytes.len())
        }
        TopicRequest::SetWill(Some(will)) => {
            format!("will {} ({} bytes)", will.topic, will.bytes.len())
        }
        TopicRequest::SetWill(None) => "no will".to_owned(),
    }
}
