//! The calls to the host, one thin function each: the only users of the
//! generated imports. Natively there is no host; there they go to the
//! recorder of [`crate::testing`], so that guests can be unit tested.

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::recorder::*;

#[cfg(target_family = "wasm")]
pub(crate) use wasm::*;

#[cfg(target_family = "wasm")]
mod wasm {
    use crate::bindings::environment::hotsocket::environment::environment;
    use crate::bindings::hotsocket::socket::types::WriteError as Wire;
    use crate::bindings::hotsocket::socket::{connection, output};
    use crate::bindings::session::hotsocket::session::session;
    use crate::connection::{Info, WriteError};
    use crate::environment::{Level, Value};

    pub(crate) use connection::{abort, clear_timer, end, hold_open};
    pub(crate) use environment::{now, random, setting, uptime};
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

    pub(crate) fn log(level: Level, message: &str, fields: &[(&str, Value<'_>)]) {
        let level = match level {
            Level::Debug => environment::Level::Debug,
            Level::Info => environment::Level::Info,
            Level::Warn => environment::Level::Warn,
            Level::Error => environment::Level::Error,
        };
        let value = |value: &Value<'_>| match value {
            Value::Text(text) => environment::Value::Text((*text).to_owned()),
            Value::Integer(integer) => environment::Value::Integer(*integer),
            Value::Number(number) => environment::Value::Number(*number),
            Value::Boolean(boolean) => environment::Value::Boolean(*boolean),
        };
        let fields = fields.iter().map(|(name, of)| environment::Field {
            name: (*name).to_owned(),
            value: value(of),
        });
        environment::log(level, message, &fields.collect::<Vec<_>>());
    }

    pub(crate) fn set_timer(id: u32, after_ms: u64) {
        connection::set_timer(id, after_ms);
    }
}
