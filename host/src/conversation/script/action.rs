//! The parser: one step's action from the words of its line.

use std::time::Duration;

use hotsocket_sandbox::check_setting;
use hotsocket_sandbox::topics::{MAX_MESSAGE, TOPIC_FORM, is_topic};

use super::Action;
use super::line::Line;

/// A step may wait this long on the script's clock.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The first words of all steps, for messages.
pub(super) const STEPS: &str = "send, expect, end, abort, open, swap, rollback, wait, print, \
                                error, fault, stall, resume, set, publish, published, peer, \
                                start-tls, stop";

/// Parse the rest of a line that begins with this word.
pub(super) fn parse(word: &str, line: &mut Line<'_>) -> Result<Action, String> {
    Ok(match word {
        "open" => Action::Open,
        "peer" => Action::Peer(super::peer::parse(line)?),
        "send" => {
            let piece = match line.has("split") {
                true => line.number("`split`")?,
                false => usize::MAX,
            };
            let bytes = line.payload(word)?;
            Action::Send { bytes, piece }
        }
        "expect" if line.has("end") => Action::ExpectEnd,
        "expect" if line.has("reset") => Action::ExpectReset,
        "expect" if line.has("nothing") => Action::ExpectNothing,
        "expect" if line.is_empty() => {
            return Err("`expect` takes \"text\", hex 48 65, end, reset or nothing".to_owned());
        }
        "expect" => Action::Expect(line.payload(word)?),
        "end" => Action::End,
        "start-tls" => Action::StartTls,
        "abort" => Action::Abort,
        "stall" => Action::Stall,
        "resume" => Action::Resume,
        "swap" => match line.text("`swap`")? {
            Some(path) => Action::Swap(Some(path)),
            None if line.is_empty() => Action::Swap(None),
            None => Action::Swap(Some(line.word().to_owned())),
        },
        "rollback" => Action::Rollback,
        "wait" => {
            let time = crate::duration::parse(line.word())?;
            if time > MAX_WAIT {
                return Err(format!(
                    "`wait` takes {} at most",
                    crate::duration::show(MAX_WAIT)
                ));
            }
            Action::Wait(time)
        }
        "set" => {
            let name = line.word().to_owned();
            let value = line.text("`set`")?;
            let value = value.ok_or("`set` takes a name and a \"value\" in quotes")?;
            check_setting(&name, &value).map_err(|error| error.to_string())?;
            Action::Set(name, value)
        }
        "publish" | "published" => {
            let topic = line.word().to_owned();
            if !is_topic(&topic) {
                return Err(format!("{topic:?} is no topic: {TOPIC_FORM}"));
            }
            let bytes = line.payload(word)?;
            if bytes.len() > MAX_MESSAGE {
                return Err(format!("a message may have {MAX_MESSAGE} bytes"));
            }
            match word {
                "publish" => Action::Publish(topic, bytes),
                _ => Action::Published(topic, bytes),
            }
        }
        "print" | "error" => {
            let text = line.text(&format!("`{word}`"))?;
            let text = text.ok_or_else(|| format!("`{word}` takes a \"line\" in quotes"))?;
            match word {
                "print" => Action::Print(text),
                _ => Action::Error(text),
            }
        }
        "fault" => Action::Fault(line.text("`fault`")?),
        "stop" => Action::Stop,
        _ => return Err(format!("unknown step {word:?}; the steps are {STEPS}")),
    })
}
