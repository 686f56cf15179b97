//! How the state of a connection moves from one generation to the next.

/// The state of one connection, with the version of its layout.
///
/// On the wire it is the version as four bytes, little endian, then the state,
/// which only the guest understands. Any language can write that, so a guest
/// can be replaced by one in another language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The layout of `state`, from 1 up. 0 is never saved: bytes too few to
    /// hold a version are read as version 0, state being all of them.
    pub version: u32,
    /// The state itself.
    pub state: Vec<u8>,
}

/// Turns the state of one version into that of the next.
pub type Upgrade = fn(Vec<u8>) -> Result<Vec<u8>, String>;

impl Snapshot {
    /// A snapshot of this version.
    pub fn new(version: u32, state: impl Into<Vec<u8>>) -> Self {
        let state = state.into();
        Self { version, state }
    }

    /// The state in the layout of version `current`, whatever older version it
    /// was saved in. `steps` are the upgrades to `current`, oldest first: the
    /// last one turns `current - 1` into `current`.
    ///
    /// ```
    /// use hotsocket_guest::Snapshot;
    ///
    /// // Version 1 counted in 32 bits, version 2 counts in 64.
    /// fn widen(old: Vec<u8>) -> Result<Vec<u8>, String> {
    ///     let old: [u8; 4] = old.try_into().map_err(|_| "not 4 bytes")?;
    ///     Ok(u64::from(u32::from_le_bytes(old)).to_le_bytes().to_vec())
    /// }
    ///
    /// let old = Snapshot::new(1, [7, 0, 0, 0]);
    /// assert_eq!(old.upgrade(2, &[widen]), Ok(vec![7, 0, 0, 0, 0, 0, 0, 0]));
    /// ```
    ///
    /// # Errors
    /// The version is newer than `current` (code was rolled back), or older
    /// than the steps reach, or a step fails. Returned from
    /// [`restore`](crate::Handler::restore), it leaves the connection with the
    /// code that understands it.
    pub fn upgrade(self, current: u32, steps: &[Upgrade]) -> Result<Vec<u8>, String> {
        let missing = current.checked_sub(self.version).map(|n| n as usize);
        let skip = missing.and_then(|n| steps.len().checked_sub(n));
        let Some(skip) = skip else {
            let oldest = current.saturating_sub(u32::try_from(steps.len()).unwrap_or(u32::MAX));
            return Err(format!(
                "the snapshot is of version {}, this guest reads {oldest} to {current}",
                self.version
            ));
        };
        steps[skip..]
            .iter()
            .try_fold(self.state, |state, step| step(state))
    }

    pub(crate) fn encode(mut self) -> Vec<u8> {
        self.state.splice(0..0, self.version.to_le_bytes());
        self.state
    }

    pub(crate) fn decode(mut bytes: Vec<u8>) -> Self {
        let Some(version) = bytes.first_chunk::<4>() else {
            return Self {
                version: 0,
                state: bytes,
            };
        };
        let version = u32::from_le_bytes(*version);
        bytes.drain(..4);
        Self {
            version,
            state: bytes,
        }
    }
}

/// Why and with what an instance takes over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// What has happened.
    pub how: How,
    /// What the predecessor saved; `None` when it saved nothing, or could not.
    pub snapshot: Option<Snapshot>,
    /// The peer's FIN has come and `end` was called in a predecessor: neither
    /// `data` nor `end` will come any more.
    pub peer_ended: bool,
}

/// What has happened to the predecessor of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// New code takes over a connection that is open.
    Migrated,
    /// The connection slept without an instance, and something happened on it.
    Woken,
    /// The predecessor trapped. Its snapshot may be older than its last event.
    Restarted,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_a(mut state: Vec<u8>) -> Result<Vec<u8>, String> {
        state.push(b'a');
        Ok(state)
    }

    fn push_b(mut state: Vec<u8>) -> Result<Vec<u8>, String> {
        state.push(b'b');
        Ok(state)
    }

    #[test]
    fn the_format_is_version_then_state() {
        let bytes = Snapshot::new(0x0102, *b"xy").encode();
        assert_eq!(bytes, [2, 1, 0, 0, b'x', b'y']);
        assert_eq!(Snapshot::decode(bytes), Snapshot::new(0x0102, *b"xy"));
        assert_eq!(Snapshot::decode(vec![1, 0, 0, 0]), Snapshot::new(1, []));
    }

    #[test]
    fn too_short_is_version_zero() {
        assert_eq!(Snapshot::decode(vec![]), Snapshot::new(0, []));
        assert_eq!(Snapshot::decode(vec![1, 2, 3]), Snapshot::new(0, [1, 2, 3]));
    }

    #[test]
    fn upgrades_run_from_the_version_found() {
        let upgrade = |version| Snapshot::new(version, *b"-").upgrade(5, &[push_a, push_b]);
        assert_eq!(upgrade(3), Ok(b"-ab".to_vec()));
        assert_eq!(upgrade(4), Ok(b"-b".to_vec()));
        assert_eq!(upgrade(5), Ok(b"-".to_vec()));
        let error =
            |version| format!("the snapshot is of version {version}, this guest reads 3 to 5");
        assert_eq!(upgrade(2), Err(error(2)));
        assert_eq!(upgrade(6), Err(error(6)));
        assert_eq!(upgrade(0), Err(error(0)));
    }

    #[test]
    fn a_step_that_fails_ends_the_chain() {
        let fails: Upgrade = |_| Err("no".to_owned());
        assert_eq!(
            Snapshot::new(1, []).upgrade(3, &[fails, push_a]),
            Err("no".to_owned())
        );
    }
}
