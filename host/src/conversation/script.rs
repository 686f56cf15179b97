//! A conversation as it is written: a step in each line.
//!
//! Owns the format, which `docs/testing.md` describes. Whatever can be known to
//! be wrong with a script without running it is found here; nothing is read
//! from disk and nothing is run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::literal::{unhex, unquote};

/// The most that one step sends or expects, in bytes: beyond it `*` is a
/// mistake.
const MAX_PAYLOAD: usize = 16 << 20;
/// Connections of one script.
const MAX_CONNECTIONS: usize = 100;
/// A step may wait this long on the script's clock.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// One line of a script that does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub line: usize,
    /// The connection that it is about; empty for the one without a name.
    pub who: String,
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Open,
    /// In pieces of at most so many bytes, each of which is one event.
    Send {
        bytes: Vec<u8>,
        piece: usize,
    },
    Expect(Vec<u8>),
    ExpectEnd,
    ExpectReset,
    ExpectNothing,
    End,
    Abort,
    /// The peer takes nothing…
    Stall,
    /// …until it does again.
    Resume,
    /// To the code of this file, or to the same code once more.
    Swap(Option<String>),
    Rollback,
    Wait(Duration),
    Print(String),
    Error(String),
    Fault(Option<String>),
    Stop,
}

/// A line that is no step, or none in this place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub told: String,
}

const STEPS: &str = "send, expect, end, abort, open, swap, rollback, wait, print, error, fault, \
                     stall, resume, stop";

/// Read a script.
///
/// # Errors
/// Tells the first line that is wrong.
pub fn parse(text: &str) -> Result<Vec<Step>, Mistake> {
    let mut steps = Vec::new();
    let mut peers = BTreeMap::<String, Peer>::new();
    let mut stopped = false;
    for (at, text) in text.lines().enumerate() {
        let line = at + 1;
        let mistake = |told| Mistake { line, told };
        let mut rest = Line(text.trim_start());
        if rest.is_empty() {
            continue;
        }
        let mut word = rest.word().map_err(mistake)?;
        let mut who = String::new();
        if let Some(name) = word.strip_suffix(':') {
            if name.is_empty() || !name.chars().all(is_of_name) {
                return Err(mistake(format!(
                    "{name:?} is no name for a connection: use letters, digits and -"
                )));
            }
            who = name.to_owned();
            word = rest.word().map_err(mistake)?;
        }
        let action = rest.action(word).map_err(mistake)?;
        if !rest.is_empty() {
            return Err(mistake(format!("too much after `{word}`: {}", rest.0)));
        }
        if action.is_of_server() && !who.is_empty() {
            return Err(mistake(format!("`{word}` is about no connection")));
        }
        if stopped && !action.may_follow_stop() {
            return Err(mistake(format!(
                "`{word}` after `stop`: the server is gone"
            )));
        }
        stopped |= action == Action::Stop;
        if !action.is_of_server() {
            let peer = peers.entry(who.clone()).or_default();
            peer.take(&action).map_err(mistake)?;
            if peers.len() > MAX_CONNECTIONS {
                return Err(mistake(format!(
                    "more than {MAX_CONNECTIONS} connections in one script"
                )));
            }
        }
        steps.push(Step { line, who, action });
    }
    match steps.is_empty() {
        true => Err(Mistake {
            line: 1,
            told: "the script has no step".to_owned(),
        }),
        false => Ok(steps),
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

impl Action {
    /// It is about the server, not about one connection.
    fn is_of_server(&self) -> bool {
        use Action::*;
        matches!(
            self,
            Swap(_) | Rollback | Wait(_) | Print(_) | Error(_) | Fault(_) | Stop
        )
    }

    fn may_follow_stop(&self) -> bool {
        use Action::*;
        matches!(
            self,
            Expect(_) | ExpectEnd | ExpectReset | ExpectNothing | Print(_) | Error(_) | Fault(_)
        )
    }
}

/// How far the two directions of a connection have come in the script.
#[derive(Default)]
struct Peer {
    open: bool,
    ended: bool,
    aborted: bool,
    /// The host's side is over.
    over: bool,
}

impl Peer {
    fn take(&mut self, action: &Action) -> Result<(), String> {
        let wrong = match action {
            _ if self.aborted => Some("a step after `abort`: this connection is gone"),
            Action::Open if self.open => Some("this connection is open already"),
            Action::Send { .. } if self.ended => Some("`send` after `end`"),
            Action::End if self.ended => Some("`end` a second time"),
            Action::Expect(_) | Action::ExpectEnd | Action::ExpectReset | Action::ExpectNothing
                if self.over =>
            {
                Some("nothing can come any more after the end that was expected before")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(wrong.to_owned());
        }
        self.open = true;
        self.ended |= *action == Action::End;
        self.aborted |= *action == Action::Abort;
        self.over |= matches!(action, Action::ExpectEnd | Action::ExpectReset);
        Ok(())
    }
}

/// What is left of a line.
struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty() || self.0.starts_with('#')
    }

    fn peek(&self) -> Option<&'a str> {
        if self.is_empty() || self.0.starts_with('"') {
            return None;
        }
        let end = self.0.find(|c: char| c.is_whitespace() || c == '"');
        self.0.get(..end.unwrap_or(self.0.len()))
    }

    fn skip(&mut self, bytes: usize) {
        self.0 = self.0.get(bytes..).unwrap_or("").trim_start();
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let word = self
            .peek()
            .ok_or_else(|| format!("a step is missing; there are {STEPS}"))?;
        self.skip(word.len());
        Ok(word)
    }

    /// The word if it comes next.
    fn has(&mut self, word: &str) -> bool {
        let has = self.peek() == Some(word);
        if has {
            self.skip(word.len());
        }
        has
    }

    fn quoted(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(text) = self.0.strip_prefix('"') else {
            return Ok(None);
        };
        let (bytes, rest) = unquote(text)?;
        self.0 = rest.trim_start();
        Ok(Some(bytes))
    }

    /// A line of text, for what is compared with lines.
    fn text(&mut self, what: &str) -> Result<Option<String>, String> {
        let Some(bytes) = self.quoted()? else {
            return Ok(None);
        };
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\n') => Ok(Some(text)),
            _ => Err(format!(
                "{what} is compared with one line of text at a time"
            )),
        }
    }

    /// Quoted strings and hexadecimal digits, each of them once or more often.
    fn payload(&mut self, step: &str) -> Result<Vec<u8>, String> {
        let mut payload = Vec::new();
        while !self.is_empty() {
            let mut part = match self.quoted()? {
                Some(bytes) => bytes,
                None if self.has("hex") => self.hex()?,
                None => {
                    let word = self.peek().unwrap_or_default();
                    return Err(format!(
                        "`{step}` takes \"text\" in quotes or hex 48 65, not {word}"
                    ));
                }
            };
            if self.has("*") {
                let times: usize = self.number("`*`")?;
                if part.len().saturating_mul(times) > MAX_PAYLOAD {
                    return Err(format!("more than {MAX_PAYLOAD} bytes in one step"));
                }
                part = part.repeat(times);
            }
            payload.extend_from_slice(&part);
        }
        match payload.len() {
            0 => Err(format!("`{step}` needs at least one byte")),
            1..=MAX_PAYLOAD => Ok(payload),
            _ => Err(format!("more than {MAX_PAYLOAD} bytes in one step")),
        }
    }

    fn hex(&mut self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        while let Some(word) = self.peek().filter(|word| *word != "*" && *word != "hex") {
            let more =
                unhex(word).ok_or_else(|| format!("{word} is not pairs of hexadecimal digits"))?;
            bytes.extend_from_slice(&more);
            self.skip(word.len());
        }
        Ok(bytes)
    }

    fn number(&mut self, after: &str) -> Result<usize, String> {
        let word = self.peek().unwrap_or_default();
        self.skip(word.len());
        word.parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("after {after} comes a number from 1 on"))
    }

    fn action(&mut self, word: &str) -> Result<Action, String> {
        Ok(match word {
            "open" => Action::Open,
            "send" => {
                let piece = match self.has("split") {
                    true => self.number("`split`")?,
                    false => usize::MAX,
                };
                let bytes = self.payload(word)?;
                Action::Send { bytes, piece }
            }
            "expect" if self.has("end") => Action::ExpectEnd,
            "expect" if self.has("reset") => Action::ExpectReset,
            "expect" if self.has("nothing") => Action::ExpectNothing,
            "expect" if self.is_empty() => {
                return Err("`expect` what? \"text\", hex 48 65, end, reset or nothing".to_owned());
            }
            "expect" => Action::Expect(self.payload(word)?),
            "end" => Action::End,
            "abort" => Action::Abort,
            "stall" => Action::Stall,
            "resume" => Action::Resume,
            "swap" => match self.text("a path")? {
                Some(path) => Action::Swap(Some(path)),
                None if self.is_empty() => Action::Swap(None),
                None => Action::Swap(Some(self.word()?.to_owned())),
            },
            "rollback" => Action::Rollback,
            "wait" => {
                let time = self.peek().unwrap_or_default();
                self.skip(time.len());
                let time = crate::duration::parse(time)?;
                if time > MAX_WAIT {
                    return Err(format!(
                        "a step waits {} at most",
                        crate::duration::show(MAX_WAIT)
                    ));
                }
                Action::Wait(time)
            }
            "print" | "error" => {
                let line = self.text(&format!("`{word}`"))?;
                let line = line.ok_or_else(|| format!("`{word}` takes a \"line\" in quotes"))?;
                match word {
                    "print" => Action::Print(line),
                    _ => Action::Error(line),
                }
            }
            "fault" => Action::Fault(self.text("`fault`")?),
            "stop" => Action::Stop,
            _ => return Err(format!("{word:?} is no step; there are {STEPS}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str) -> Vec<Action> {
        let steps = parse(text).unwrap_or_else(|mistake| panic!("{mistake:?}"));
        steps.into_iter().map(|step| step.action).collect()
    }

    #[test]
    fn every_step_is_understood() {
        let text = "# a comment\n\n  send \"a\\n\" hex 0d0A ff \"b\" * 3   # another\nsend split 2 \"abc\"\n\
                    expect \"# no comment\"\nexpect nothing\nstall\nresume\nend\nexpect end\nswap\nswap new.wasm\n\
                    swap \"a b.wasm\"\nrollback\nwait 1.5s\nprint \"\"\nerror \"oh\"\nfault\nfault \"boom\"\nstop\n";
        let send = |bytes: &[u8], piece| Action::Send {
            bytes: bytes.to_vec(),
            piece,
        };
        let expected = [
            send(b"a\n\r\n\xffbbb", usize::MAX),
            send(b"abc", 2),
            Action::Expect(b"# no comment".to_vec()),
            Action::ExpectNothing,
            Action::Stall,
            Action::Resume,
            Action::End,
            Action::ExpectEnd,
            Action::Swap(None),
            Action::Swap(Some("new.wasm".to_owned())),
            Action::Swap(Some("a b.wasm".to_owned())),
            Action::Rollback,
            Action::Wait(Duration::from_millis(1500)),
            Action::Print(String::new()),
            Action::Error("oh".to_owned()),
            Action::Fault(None),
            Action::Fault(Some("boom".to_owned())),
            Action::Stop,
        ];
        assert_eq!(actions(text), expected);
    }

    #[test]
    fn connections_have_names() {
        let steps = parse("a: open\nb: send \"x\"\na: expect reset\nabort").expect("a script");
        let told: Vec<_> = steps.iter().map(|step| (step.line, &*step.who)).collect();
        assert_eq!(told, [(1, "a"), (2, "b"), (3, "a"), (4, "")]);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, line, part) in [
            ("", 1, "no step"),
            ("\n\nsned \"x\"", 3, "\"sned\" is no step; there are send,"),
            ("send", 1, "needs at least one byte"),
            ("send x", 1, "takes \"text\" in quotes or hex 48 65, not x"),
            ("send hex 4", 1, "4 is not pairs"),
            ("send \"x", 1, "a \" is missing"),
            ("send split 0 \"x\"", 1, "a number from 1 on"),
            ("send \"x\" * 99999999", 1, "more than 16777216 bytes"),
            ("expect", 1, "`expect` what?"),
            ("end of it", 1, "too much after `end`: of it"),
            ("end\nsend \"x\"", 2, "`send` after `end`"),
            ("expect end\nexpect \"x\"", 2, "nothing can come"),
            ("abort\nend", 2, "after `abort`"),
            ("a: wait 1s", 1, "`wait` is about no connection"),
            ("é: end", 1, "no name for a connection"),
            ("wait 1d", 1, "not a time"),
            ("wait 25h", 1, "24h at most"),
            ("print \"a\\nb\"", 1, "one line of text"),
            ("print x", 1, "takes a \"line\" in quotes"),
            ("stop\nsend \"x\"", 2, "the server is gone"),
            ("a:", 1, "a step is missing"),
        ] {
            let mistake = parse(text).expect_err(text);
            assert_eq!(mistake.line, line, "{text}");
            assert!(mistake.told.contains(part), "{text}: {}", mistake.told);
        }
    }
}
