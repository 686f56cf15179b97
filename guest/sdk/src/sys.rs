//! The calls to the host, one thin function each: the only users of the
//! generated imports. Natively there is no host; there they go to the
//! recorder of [`crate::testing`], so that guests can be unit tested.

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::recorder::*;

#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;

#[cfg(target_family = "wasm")]
mod wasm {
    use crate::bindings::hotsocket::socket::types::WriteError as Wire;
    use crate::bindings::hotsocket::socket::{connection, output};
    use crate::bindings::session::hotsocket::session::session;
    use crate::connection::{Info, WriteError};

    pub(crate) use connection::{abort, clear_timer, end, hold_open};
    pub(crate) use output::{error, panic, print};
    pub(crate) use session::{checkpoint, label, pause, resume};

    pub(crate) fn info() -> Info {
        let info = connection::info();
        Info {
            id: info.id,
            local: crate::address::socket_addr(&info.local.ip, info.local.port),
            peer: crate::address::socket_addr(&info.peer.ip, info.peer.port),
        }
    }

    pub(crate) fn write(bytes: &[u8]) -> Result<bool, WriteError> {
        connection::write(bytes).map_err(|error| match error {
            Wire::Closed => WriteError::Closed,
            Wire::Full => WriteError::Full,
            Wire::Other(why) => WriteError::Other(why),
        })
    }

    pub(crate) fn set_timer(id: u32, after_ms: u64) {
        connection::set_timer(id, after_ms);
    }
}
