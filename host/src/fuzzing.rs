//! What is done with bytes from a client of the control socket, with PROXY headers, and
//! with scripts, as functions of bytes that panic when it is wrong. For components and compiled
//! code see [`hotsocket_sandbox`], whose functions are called the same way.
//!
//! The targets in `fuzz/` call them with what libFuzzer makes up, and the tests
//! below with the seeds of those targets, changed at random.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hotsocket_sandbox::limit_counters::LimitCounters;
use tokio::io::BufReader;

use crate::control::protocol::{MAX_REQUEST, Request};
use crate::control::receive::{RequestBytes, read};
use crate::conversation::{literal, script};
use crate::listener::proxy::header::{self, Progress, Signature};

/// Largest component of a request, in bytes.
const MAX_COMPONENT: usize = 1 << 10;
/// As much is held for all requests.
const MAX_HELD: usize = 2 * MAX_COMPONENT;

/// Largest PROXY header, in bytes.
const MAX_HEADER: usize = 16 + 4096;

/// A client's bytes, after the first of them: that says how many arrive at once.
/// Returns whether they are a request.
#[expect(clippy::panic, reason = "not in a server")]
pub fn control_request(bytes: &[u8]) -> bool {
    let Some((pieces, sent)) = bytes.split_first() else {
        return false;
    };
    let held = RequestBytes::new(MAX_COMPONENT);
    let reached = LimitCounters::default();
    let reader = BufReader::with_capacity(usize::from(*pieces) + 1, sent);
    let received = {
        let mut reading = pin!(read(reader, MAX_COMPONENT, &reached, &held));
        match reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(received) => received,
            Poll::Pending => panic!("waits for a client that has sent all"),
        }
    };
    let valid = received.is_ok();
    match received {
        Err(error) => assert!(error.len() < 2 * MAX_REQUEST, "{} bytes", error.len()),
        Ok(received) => {
            let announced = match &received.request {
                Request::Swap { length, .. } => *length,
                _ => 0,
            };
            assert_eq!(received.body.len() as u64, announced);
            assert!(received.body.len() <= MAX_COMPONENT && received.body.len() <= sent.len());
            assert!(received.body.capacity() <= held.held() && held.held() <= MAX_HELD);
            let line = serde_json::to_vec(&received.request).unwrap_or_default();
            let again = serde_json::from_slice::<Request>(&line);
            assert!(again.is_ok(), "a request that can't be sent again");
        }
    }
    assert_eq!(held.held(), 0, "memory of a request that has ended");
    valid
}

/// The beginning of a connection, read as a listener does: no more than is missing for
/// certain. Returns whether it is a header.
#[expect(clippy::panic, reason = "not in a server")]
pub fn proxy_header(bytes: &[u8]) -> bool {
    let mut length = 0;
    loop {
        let read = bytes.get(..length).unwrap_or_default();
        match header::parse(read) {
            Ok(Progress::Needs(0)) => panic!("needs nothing and has no header"),
            Ok(Progress::Needs(missing)) if length + missing > bytes.len() => {
                // What is there is a beginning, byte for byte.
                let rest = bytes.get(length..).unwrap_or_default();
                assert!(rest.len() < missing);
                return false;
            }
            Ok(Progress::Needs(missing)) => length += missing,
            Ok(Progress::Whole(found)) => {
                assert!(length <= MAX_HEADER, "{length} bytes");
                let extensions = found.extensions.iter();
                let size: usize = extensions.map(|(_, value)| value.len() + 3).sum();
                assert!(size <= length, "more than was read");
                assert_ne!(header::signature(read), Signature::None);
                for end in 0..length {
                    let part = bytes.get(..end).unwrap_or_default();
                    let progress = header::parse(part);
                    match progress {
                        Ok(Progress::Needs(missing)) => assert!(end + missing <= length),
                        other => panic!("{end} of {length} bytes: {other:?}"),
                    }
                }
                return true;
            }
            Err(error) => {
                assert!(error.to_string().len() < 200, "{error}");
                return false;
            }
        }
    }
}

/// A script of `hotsocket test`. Returns whether it is valid.
pub fn script(bytes: &[u8]) -> bool {
    let shown = literal::escape(bytes) + "\"";
    assert_eq!(literal::unquote(&shown), Ok((bytes.to_vec(), "")));
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let lines = text.lines().count();
    match script::parse(text) {
        Ok(steps) => {
            let numbers: Vec<_> = steps.iter().map(|step| step.line).collect();
            assert!(!numbers.is_empty() && numbers.is_sorted_by(|a, b| a < b));
            assert!(numbers.iter().all(|line| (1..=lines).contains(line)));
            true
        }
        Err(error) => {
            assert!((1..=lines.max(1)).contains(&error.line), "{error:?}");
            assert!(!error.message.is_empty());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::replay;

    macro_rules! seeds {
        ($target:literal) => {
            concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/", $target)
        };
    }

    #[test]
    fn changed_requests_are_received_or_refused() {
        let mut valid = 0;
        replay(seeds!("control_request"), 20_000, |bytes| {
            valid += usize::from(control_request(bytes));
        });
        assert!(valid > 0, "no seed is a request");
    }

    #[test]
    fn changed_headers_are_read_to_their_end_or_refused() {
        let mut valid = 0;
        replay(seeds!("proxy_header"), 50_000, |bytes| {
            valid += usize::from(proxy_header(bytes));
        });
        assert!(valid > 9, "the seeds are headers");
    }

    #[test]
    fn changed_scripts_are_parsed_or_refused() {
        let mut valid = 0;
        replay(seeds!("script"), 5000, |bytes| {
            valid += usize::from(script(bytes));
        });
        assert!(valid > 0, "no seed is a script");
    }
}
