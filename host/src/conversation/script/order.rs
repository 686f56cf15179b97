//! Which steps may follow each other: after `stop` there is no server, after
//! `abort` no connection, after `end` nothing to send.

use std::collections::BTreeMap;

use super::Action;

/// Connections of one script.
const MAX_CONNECTIONS: usize = 100;

/// How far a script has come. Call [`Self::check`] for each step in turn.
#[derive(Default)]
pub(super) struct Order {
    /// By their names.
    connections: BTreeMap<String, Connection>,
    stopped: bool,
}

impl Order {
    /// Whether this step may come now. `word` is its first word, for the
    /// message.
    pub(super) fn check(
        &mut self,
        connection: &str,
        word: &str,
        action: &Action,
    ) -> Result<(), String> {
        if action.is_of_server() && !connection.is_empty() {
            return Err(format!("`{word}` takes no connection name"));
        }
        if self.stopped && !may_follow_stop(action) {
            return Err(format!("`{word}` after `stop`: the server has shut down"));
        }
        self.stopped |= *action == Action::Stop;
        if action.is_of_server() {
            return Ok(());
        }
        let state = self.connections.entry(connection.to_owned());
        state.or_default().check(action)?;
        if self.connections.len() > MAX_CONNECTIONS {
            return Err(format!(
                "too many connections: a script may have {MAX_CONNECTIONS}"
            ));
        }
        Ok(())
    }
}

fn may_follow_stop(action: &Action) -> bool {
    use Action::*;
    matches!(
        action,
        Expect(_)
            | ExpectEnd
            | ExpectReset
            | ExpectNothing
            | Print(_)
            | Error(_)
            | Fault(_)
            | Published(..)
    )
}

/// How far the two directions of a connection have come in the script.
#[derive(Default)]
struct Connection {
    open: bool,
    /// The peer has sent FIN.
    ended: bool,
    aborted: bool,
    /// The script expects nothing more of the host's side.
    over: bool,
}

impl Connection {
    fn check(&mut self, action: &Action) -> Result<(), String> {
        let error = match action {
            _ if self.aborted => Some("step after `abort`: the connection is closed"),
            Action::Peer(_) if self.open => {
                Some("`peer` after the connection was opened: what is known of it stays the same")
            }
            Action::Open if self.open => Some("the connection is already open"),
            Action::Send { .. } if self.ended => {
                Some("`send` after `end`: the peer has closed its side")
            }
            Action::End if self.ended => Some("`end` twice"),
            Action::StartTls if self.ended => {
                Some("`start-tls` after `end`: the peer has closed its side")
            }
            Action::Expect(_) | Action::ExpectEnd | Action::ExpectReset | Action::ExpectNothing
                if self.over =>
            {
                Some("`expect` after `expect end` or `expect reset`: nothing more can arrive")
            }
            _ => None,
        };
        if let Some(error) = error {
            return Err(error.to_owned());
        }
        self.open |= !matches!(action, Action::Peer(_));
        self.ended |= *action == Action::End;
        self.aborted |= *action == Action::Abort;
        self.over |= matches!(action, Action::ExpectEnd | Action::ExpectReset);
        Ok(())
    }
}
